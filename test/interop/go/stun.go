// SPDX-License-Identifier: BSD-3-Clause

package main

import (
	"errors"
	"flag"
	"net"
	"time"

	"tailscale.com/net/stun"
)

// stunRequest asks one server for our address, as Tailscale does.
func stunRequest(args []string) error {
	fs := flag.NewFlagSet("stun", flag.ContinueOnError)
	addr := fs.String("addr", "127.0.0.1:3478", "server")
	if err := fs.Parse(args); err != nil {
		return err
	}
	conn, err := net.Dial("udp", *addr)
	if err != nil {
		return err
	}
	defer conn.Close()
	tx := stun.NewTxID()
	buf := make([]byte, 1500)
	for range 3 {
		if _, err := conn.Write(stun.Request(tx)); err != nil {
			return err
		}
		if err := conn.SetReadDeadline(time.Now().Add(time.Second)); err != nil {
			return err
		}
		n, err := conn.Read(buf)
		if err != nil {
			continue
		}
		got, mapped, err := stun.ParseResponse(buf[:n])
		if err != nil {
			return err
		}
		if got != tx {
			return errors.New("another transaction")
		}
		emit(map[string]any{"ok": true, "mapped": mapped.String(),
			"local": conn.LocalAddr().String()})
		return nil
	}
	return errors.New("no answer")
}
