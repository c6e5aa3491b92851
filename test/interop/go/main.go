// SPDX-License-Identifier: BSD-3-Clause

// Command interop is the other side of the interop suite: QUIC over UDP as peer
// v0.18.2 configures it, Tailscale's DERP client and STUN request.  Each
// subcommand prints JSON objects, one per line; the last one is the result.
package main

import (
	"encoding/json"
	"fmt"
	"os"
)

var commands = map[string]func(args []string) error{
	"quic-server": quicServer,
	"quic-client": quicClient,
	"derp-client": derpClient,
	"stun":        stunRequest,
}

// emit prints one line of JSON.
func emit(v any) {
	if err := json.NewEncoder(os.Stdout).Encode(v); err != nil {
		os.Exit(3)
	}
}

func main() {
	var run func([]string) error
	if len(os.Args) > 1 {
		run = commands[os.Args[1]]
	}
	if run == nil {
		fmt.Fprintln(os.Stderr,
			"usage: interop quic-server|quic-client|derp-client|stun [flags]")
		os.Exit(2)
	}
	if err := run(os.Args[2:]); err != nil {
		emit(failure(err))
		os.Exit(1)
	}
}
