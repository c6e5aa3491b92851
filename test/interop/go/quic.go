// SPDX-License-Identifier: BSD-3-Clause

package main

import (
	"bytes"
	"context"
	"crypto/ed25519"
	"crypto/rand"
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/hex"
	"errors"
	"flag"
	"fmt"
	"hash"
	"io"
	"math/big"
	"sync"
	"time"

	"github.com/quic-go/quic-go"
)

const (
	serverName = "derphole"
	alpnName   = "derphole-quic/1"
	maxRun     = 2 * time.Minute
)

type quicOptions struct {
	addr    string
	seed    string
	pin     string
	alpn    string
	streams int
	bytes   int64
	noCert  bool
}

type streamResult struct {
	ID       int64  `json:"id"`
	Sent     int64  `json:"sent"`
	Received int64  `json:"received"`
	SentSum  string `json:"sent_sha256"`
	RecvSum  string `json:"received_sha256"`
}

type quicResult struct {
	OK      bool           `json:"ok"`
	Seconds float64        `json:"seconds"`
	Streams []streamResult `json:"streams"`
}

type failureResult struct {
	OK    bool   `json:"ok"`
	Error string `json:"error"`
	Kind  string `json:"kind"`
	Code  uint64 `json:"code"`
}

// failure classifies what ended a connection.
func failure(err error) failureResult {
	f := failureResult{Error: err.Error(), Kind: "other"}
	var transport *quic.TransportError
	var app *quic.ApplicationError
	switch {
	case errors.As(err, &transport):
		f.Kind, f.Code = "transport", uint64(transport.ErrorCode)
	case errors.As(err, &app):
		f.Kind, f.Code = "application", uint64(app.ErrorCode)
	}
	return f
}

func parseQUIC(name string, args []string) (quicOptions, error) {
	var o quicOptions
	fs := flag.NewFlagSet(name, flag.ContinueOnError)
	fs.StringVar(&o.addr, "addr", "127.0.0.1:0", "where to listen or connect")
	fs.StringVar(&o.seed, "seed", "", "own Ed25519 seed, hex")
	fs.StringVar(&o.pin, "pin", "", "the peer's Ed25519 public key, hex")
	fs.StringVar(&o.alpn, "alpn", alpnName, "protocol")
	fs.IntVar(&o.streams, "streams", 4, "streams")
	fs.Int64Var(&o.bytes, "bytes", 1<<20, "bytes each way on each stream")
	fs.BoolVar(&o.noCert, "no-cert", false, "present no certificate")
	return o, fs.Parse(args)
}

func identity(seedHex string) (tls.Certificate, error) {
	seed, err := hex.DecodeString(seedHex)
	if err != nil || len(seed) != ed25519.SeedSize {
		return tls.Certificate{}, errors.New("bad seed")
	}
	key := ed25519.NewKeyFromSeed(seed)
	serial, err := rand.Int(rand.Reader, new(big.Int).Lsh(big.NewInt(1), 127))
	if err != nil {
		return tls.Certificate{}, err
	}
	template := &x509.Certificate{
		SerialNumber: serial,
		Subject:      pkix.Name{CommonName: serverName},
		NotBefore:    time.Now().Add(-time.Minute),
		NotAfter:     time.Now().Add(time.Hour),
		KeyUsage:     x509.KeyUsageDigitalSignature,
		DNSNames:     []string{serverName},
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template,
		key.Public(), key)
	return tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key}, err
}

// pinned accepts one certificate with one key and checks nothing else.
func pinned(pinHex string) (func([][]byte, [][]*x509.Certificate) error, error) {
	pin, err := hex.DecodeString(pinHex)
	if err != nil || len(pin) != ed25519.PublicKeySize {
		return nil, errors.New("bad pin")
	}
	return func(raw [][]byte, _ [][]*x509.Certificate) error {
		if len(raw) != 1 {
			return errors.New("want one certificate")
		}
		cert, err := x509.ParseCertificate(raw[0])
		if err != nil {
			return err
		}
		key, ok := cert.PublicKey.(ed25519.PublicKey)
		if !ok || !bytes.Equal(key, pin) {
			return errors.New("wrong key")
		}
		return nil
	}, nil
}

func tlsConfig(o quicOptions) (*tls.Config, error) {
	cert, err := identity(o.seed)
	if err != nil {
		return nil, err
	}
	check, err := pinned(o.pin)
	if err != nil {
		return nil, err
	}
	conf := &tls.Config{
		MinVersion:            tls.VersionTLS13,
		NextProtos:            []string{o.alpn},
		ServerName:            serverName,
		InsecureSkipVerify:    true,
		ClientAuth:            tls.RequireAnyClientCert,
		VerifyPeerCertificate: check,
	}
	if !o.noCert {
		conf.Certificates = []tls.Certificate{cert}
	}
	return conf, nil
}

// quicConfig has the numbers of peer v0.18.2.
func quicConfig() *quic.Config {
	return &quic.Config{
		HandshakeIdleTimeout:           10 * time.Second,
		MaxIdleTimeout:                 30 * time.Second,
		KeepAlivePeriod:                5 * time.Second,
		InitialStreamReceiveWindow:     16 << 20,
		MaxStreamReceiveWindow:         128 << 20,
		InitialConnectionReceiveWindow: 32 << 20,
		MaxConnectionReceiveWindow:     256 << 20,
		MaxIncomingStreams:             64,
		MaxIncomingUniStreams:          -1,
		InitialPacketSize:              1200,
	}
}

// hashed is what went one way.
type hashed struct {
	n   int64
	sum hash.Hash
}

func (h *hashed) Write(p []byte) (int, error) {
	h.n += int64(len(p))
	return h.sum.Write(p)
}

func (h *hashed) hex() string { return hex.EncodeToString(h.sum.Sum(nil)) }

// exchange sends n random-looking bytes and reads until the peer's FIN.
func exchange(s *quic.Stream, n int64) (streamResult, error) {
	sent := &hashed{sum: sha256.New()}
	got := &hashed{sum: sha256.New()}
	done := make(chan error, 1)
	go func() {
		src := io.LimitReader(rand.Reader, n)
		_, err := io.CopyBuffer(io.MultiWriter(s, sent), src,
			make([]byte, 64<<10))
		if err == nil {
			err = s.Close()
		}
		done <- err
	}()
	_, err := io.CopyBuffer(struct{ io.Writer }{got}, struct{ io.Reader }{s},
		make([]byte, 64<<10))
	if werr := <-done; err == nil {
		err = werr
	}
	return streamResult{ID: int64(s.StreamID()), Sent: sent.n,
		Received: got.n, SentSum: sent.hex(), RecvSum: got.hex()}, err
}

// runStreams gets o.streams streams from next and exchanges data on each.
func runStreams(o quicOptions, next func() (*quic.Stream, error)) error {
	var mu sync.Mutex
	var wg sync.WaitGroup
	var first error
	result := quicResult{OK: true}
	began := time.Now()
	for range o.streams {
		s, err := next()
		if err != nil {
			return err
		}
		wg.Add(1)
		go func() {
			defer wg.Done()
			r, err := exchange(s, o.bytes)
			mu.Lock()
			defer mu.Unlock()
			result.Streams = append(result.Streams, r)
			if err != nil && first == nil {
				first = err
			}
		}()
	}
	wg.Wait()
	if first != nil {
		return first
	}
	result.Seconds = time.Since(began).Seconds()
	emit(result)
	return nil
}

func quicServer(args []string) error {
	o, err := parseQUIC("quic-server", args)
	if err != nil {
		return err
	}
	conf, err := tlsConfig(o)
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(context.Background(), maxRun)
	defer cancel()
	ln, err := quic.ListenAddr(o.addr, conf, quicConfig())
	if err != nil {
		return err
	}
	defer ln.Close()
	emit(map[string]string{"addr": ln.Addr().String()})
	conn, err := ln.Accept(ctx)
	if err != nil {
		return fmt.Errorf("accept: %w", err)
	}
	err = runStreams(o, func() (*quic.Stream, error) {
		return conn.AcceptStream(ctx)
	})
	if err != nil {
		return err
	}
	select { // the client closes
	case <-conn.Context().Done():
		emit(failure(context.Cause(conn.Context())))
	case <-ctx.Done():
	}
	return nil
}

func quicClient(args []string) error {
	o, err := parseQUIC("quic-client", args)
	if err != nil {
		return err
	}
	conf, err := tlsConfig(o)
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(context.Background(), maxRun)
	defer cancel()
	conn, err := quic.DialAddr(ctx, o.addr, conf, quicConfig())
	if err != nil {
		return err
	}
	defer conn.CloseWithError(0, "complete")
	return runStreams(o, func() (*quic.Stream, error) {
		return conn.OpenStreamSync(ctx)
	})
}
