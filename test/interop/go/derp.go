// SPDX-License-Identifier: BSD-3-Clause

package main

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"flag"
	"fmt"
	"net"
	"net/url"
	"os"
	"strconv"
	"time"

	"tailscale.com/derp"
	"tailscale.com/derp/derphttp"
	"tailscale.com/net/netmon"
	"tailscale.com/tailcfg"
	"tailscale.com/types/key"
	"tailscale.com/types/logger"
)

type derpOptions struct {
	url      string
	ca       string
	pin      string
	insecure bool
	count    int
	size     int
	window   int
	timeout  time.Duration
}

type derpResult struct {
	OK         bool    `json:"ok"`
	ServerKey  string  `json:"server_key"`
	TLS        bool    `json:"tls"`
	Certs      int     `json:"certificates"`
	Sent       int     `json:"sent"`
	Received   int     `json:"received"`
	Seconds    float64 `json:"seconds"`
	PingMillis float64 `json:"ping_ms"`
	PeerGone   bool    `json:"peer_gone"`
	GoneReason int     `json:"peer_gone_reason"`
	NotHere    bool    `json:"not_here"`
}

// newDERP makes a client by URL, or by a one-node region where the options need
// a node to hang on.
func newDERP(o derpOptions, logf logger.Logf) (*derphttp.Client, error) {
	priv := key.NewNode()
	if !o.insecure && o.pin == "" {
		return derphttp.NewClient(priv, o.url, logf, netmon.NewStatic())
	}
	u, err := url.Parse(o.url)
	if err != nil {
		return nil, err
	}
	port, err := strconv.Atoi(u.Port())
	if err != nil {
		return nil, fmt.Errorf("port: %w", err)
	}
	node := &tailcfg.DERPNode{Name: "1a", RegionID: 1,
		HostName: u.Hostname(), DERPPort: port, STUNPort: -1,
		InsecureForTests: o.insecure}
	if o.pin != "" {
		node.CertName = "sha256-raw:" + o.pin
	}
	if ip := net.ParseIP(u.Hostname()); ip != nil && ip.To4() != nil {
		node.IPv4, node.IPv6 = ip.String(), "none"
	}
	region := &tailcfg.DERPRegion{RegionID: 1, RegionCode: "test",
		Nodes: []*tailcfg.DERPNode{node}}
	return derphttp.NewRegionClient(priv, logf, netmon.NewStatic(),
		func() *tailcfg.DERPRegion { return region }), nil
}

// payload is count, then a pattern that depends on it.
func payload(seq, size int) []byte {
	b := make([]byte, max(size, 8))
	for i := range b {
		b[i] = byte(seq + i*7)
	}
	binary.BigEndian.PutUint64(b, uint64(seq))
	return b
}

// packets hands packets on; nil when the client is closed.
func packets(c *derphttp.Client, gone chan<- derp.PeerGoneMessage) <-chan derp.ReceivedPacket {
	ch := make(chan derp.ReceivedPacket, 1024)
	go func() {
		defer close(ch)
		for {
			m, err := c.Recv()
			if err != nil {
				return
			}
			switch m := m.(type) {
			case derp.ReceivedPacket:
				m.Data = bytes.Clone(m.Data)
				ch <- m
			case derp.PeerGoneMessage:
				select {
				case gone <- m:
				default:
				}
			}
		}
	}()
	return ch
}

// pump sends count packets from a to b, each answered by b, with at most window
// unanswered, so that no queue of the relay overflows.
func pump(ctx context.Context, o derpOptions, a, b *derphttp.Client,
	fromA, fromB <-chan derp.ReceivedPacket, r *derpResult) error {
	echo := make(chan error, 1)
	go func() {
		for i := range o.count {
			p, ok := <-fromA
			if !ok {
				echo <- errors.New("receiver closed")
				return
			}
			if p.Source != a.SelfPublicKey() ||
				!bytes.Equal(p.Data, payload(i, o.size)) {
				echo <- fmt.Errorf("packet %d differs", i)
				return
			}
			r.Received++
			if err := b.Send(p.Source, p.Data[:8]); err != nil {
				echo <- err
				return
			}
		}
		echo <- nil
	}()
	answered := 0
	for r.Sent < o.count || answered < o.count {
		if r.Sent < o.count && r.Sent-answered < o.window {
			if err := a.Send(b.SelfPublicKey(), payload(r.Sent, o.size)); err != nil {
				return err
			}
			r.Sent++
			continue
		}
		select {
		case p, ok := <-fromB:
			if !ok {
				return errors.New("sender closed")
			}
			if binary.BigEndian.Uint64(p.Data) != uint64(answered) {
				return fmt.Errorf("answer %d out of order", answered)
			}
			answered++
		case err := <-echo:
			if err != nil {
				return err
			}
			echo = nil
		case <-ctx.Done():
			return fmt.Errorf("%d of %d answered: %w", answered, o.count,
				ctx.Err())
		}
	}
	return nil
}

// peerGone closes a and watches b learn of it, unasked and when sending.
func peerGone(a, b *derphttp.Client, gone <-chan derp.PeerGoneMessage, r *derpResult) error {
	dead := a.SelfPublicKey()
	if err := a.Close(); err != nil {
		return err
	}
	select {
	case m := <-gone:
		r.PeerGone = m.Peer == dead
		r.GoneReason = int(m.Reason)
	case <-time.After(3 * time.Second):
	}
	if err := b.Send(dead, []byte("anyone there?")); err != nil {
		return err
	}
	select {
	case m := <-gone:
		r.NotHere = m.Peer == dead && m.Reason == derp.PeerGoneReasonNotHere
	case <-time.After(3 * time.Second):
	}
	return nil
}

func derpClient(args []string) error {
	var o derpOptions
	fs := flag.NewFlagSet("derp-client", flag.ContinueOnError)
	fs.StringVar(&o.url, "url", "", "https://HOST:PORT/derp")
	fs.StringVar(&o.ca, "ca", "", "PEM file of roots (as SSL_CERT_FILE)")
	fs.StringVar(&o.pin, "pin", "", "SHA-256 of the certificate, hex")
	fs.BoolVar(&o.insecure, "insecure", false, "trust any certificate")
	fs.IntVar(&o.count, "count", 1000, "packets")
	fs.IntVar(&o.size, "size", 1200, "bytes in each")
	fs.IntVar(&o.window, "window", 16, "packets without answer")
	fs.DurationVar(&o.timeout, "timeout", 30*time.Second, "for all of it")
	if err := fs.Parse(args); err != nil {
		return err
	}
	if o.ca != "" {
		if err := os.Setenv("SSL_CERT_FILE", o.ca); err != nil {
			return err
		}
	}
	ctx, cancel := context.WithTimeout(context.Background(), o.timeout)
	defer cancel()
	logf := func(format string, a ...any) {
		fmt.Fprintf(os.Stderr, format+"\n", a...)
	}
	gone := make(chan derp.PeerGoneMessage, 8)
	a, err := newDERP(o, logf)
	if err != nil {
		return err
	}
	b, err := newDERP(o, logf)
	if err != nil {
		return err
	}
	defer b.Close()
	if err := a.Connect(ctx); err != nil {
		return fmt.Errorf("connect: %w", err)
	}
	if err := b.Connect(ctx); err != nil {
		return fmt.Errorf("connect: %w", err)
	}
	r := derpResult{ServerKey: a.ServerPublicKey().UntypedHexString()}
	if cs, ok := a.TLSConnectionState(); ok {
		r.TLS, r.Certs = true, len(cs.PeerCertificates)
	}
	fromB, fromA := packets(a, make(chan derp.PeerGoneMessage)), packets(b, gone)
	began := time.Now()
	if err := pump(ctx, o, a, b, fromA, fromB, &r); err != nil {
		return err
	}
	r.Seconds = time.Since(began).Seconds()
	began = time.Now()
	if err := b.Ping(ctx); err != nil {
		return fmt.Errorf("ping: %w", err)
	}
	r.PingMillis = float64(time.Since(began).Microseconds()) / 1000
	if err := peerGone(a, b, gone, &r); err != nil {
		return err
	}
	r.OK = true
	emit(r)
	return nil
}
