package harness

import (
	"bufio"
	"io"
	"iter"
	"strings"
)

// Lines are those of a program's output until its end, however long they are: a bufio.Scanner stops for good at one of over 64 KB,
// and then the program stands still at a full pipe.
func Lines(output io.Reader) iter.Seq[string] {
	return func(yield func(string) bool) {
		for in := bufio.NewReader(output); ; {
			line, err := in.ReadString('\n')
			if line != "" && !yield(strings.TrimSuffix(line, "\n")) || err != nil {
				return
			}
		}
	}
}
