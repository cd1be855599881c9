// The stock netbird program, as its own main does it. go.mod builds the current release; each vX.Y.mod an earlier one:
// go build -modfile=v0.60.mod.
package main

import (
	"os"

	"github.com/netbirdio/netbird/client/cmd"
)

func main() {
	if err := cmd.Execute(); err != nil {
		os.Exit(1)
	}
}
