package harness

import (
	"bufio"
	"io"
	"os/exec"
	"sync"
	"testing"
)

// converse starts a child that is told things and answers in lines. It ends when what it reads does, which the returned function
// sees to.
func converse(t testing.TB, cmd *exec.Cmd) (io.Writer, *bufio.Scanner, func()) {
	t.Helper()
	in, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	return in, bufio.NewScanner(out), sync.OnceFunc(func() {
		_ = in.Close()
		_ = cmd.Wait()
	})
}
