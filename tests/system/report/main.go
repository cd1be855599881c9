// Report reads `go test -json` and tells a person what matters: a line for each test that passed, and for each that
// failed first what did not hold, then the end of its output, and at the end of all what did not hold once more.
// Everything the tests wrote goes to the file named by the only argument.
package main

import (
	"bufio"
	"encoding/json"
	"fmt"
	"os"
	"regexp"
	"strings"
)

type event struct {
	Action  string
	Test    string
	Output  string
	Elapsed float64
}

const (
	maxKept    = 4000 // lines of one test
	maxExcerpt = 40   // lines of a failed test's output
	maxReasons = 8    // lines that name what did not hold
	maxFollow  = 3    // further lines of one message
	maxLine    = 300
)

// Where a test says something: "    mesh_test.go:88: not within 10s: ...", also within a child process's output.
var place = regexp.MustCompile(`^[\s|]*\w+\.go:\d+: `)

// What the harness adds to a failure, and is no reason for it.
var attachment = regexp.MustCompile(`\.go:\d+: (the logs are in|log of|child process:|deleting |clearing )`)

type report struct {
	full           *bufio.Writer
	output         map[string][]string
	partial        map[string]string
	passed, failed int
	failures       []string
}

func main() {
	if len(os.Args) != 2 {
		fmt.Fprintln(os.Stderr, "usage: go test -json | report FILE")
		os.Exit(2)
	}
	file, err := os.Create(os.Args[1])
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(2)
	}
	r := report{full: bufio.NewWriter(file), output: map[string][]string{}, partial: map[string]string{}}
	lines := bufio.NewReaderSize(os.Stdin, 1<<20)
	for {
		line, err := lines.ReadString('\n')
		if line != "" {
			r.line(line)
		}
		if err != nil {
			break
		}
	}
	if err := r.full.Flush(); err != nil {
		fmt.Fprintln(os.Stderr, err)
	}
	if r.finish(os.Args[1]) {
		os.Exit(1)
	}
}

func (r *report) line(line string) {
	var e event
	if !strings.HasPrefix(line, "{") || json.Unmarshal([]byte(line), &e) != nil {
		fmt.Print(line) // the build's own messages
		fmt.Fprint(r.full, line)
		return
	}
	top, _, _ := strings.Cut(e.Test, "/")
	switch e.Action {
	case "output":
		fmt.Fprint(r.full, e.Output)
		r.keep(top, e.Output)
	case "build-output":
		fmt.Fprint(r.full, e.Output)
		fmt.Print(e.Output)
	case "pass", "skip", "fail":
		if e.Test == top {
			r.verdict(e)
		}
	}
}

// keep joins output to whole lines: a long one comes in pieces.
func (r *report) keep(test, text string) {
	text = r.partial[test] + text
	r.partial[test] = ""
	if !strings.HasSuffix(text, "\n") {
		r.partial[test] = text
		return
	}
	text = strings.TrimRight(text, "\n")
	if strings.HasPrefix(text, "=== ") {
		return
	}
	kept := append(r.output[test], text)
	if len(kept) > maxKept {
		kept = kept[len(kept)-maxKept:]
	}
	r.output[test] = kept
}

func (r *report) verdict(e event) {
	switch {
	case e.Test == "" && e.Action != "fail":
	case e.Test == "": // the whole: a build that failed, a panic, the time limit
		if r.failed == 0 {
			r.fail("tests/system", e.Elapsed)
		}
	case e.Action == "fail":
		r.fail(e.Test, e.Elapsed)
	default:
		if e.Action == "pass" {
			r.passed++
		}
		fmt.Printf("--- %s: %s (%.2fs)\n", strings.ToUpper(e.Action), e.Test, e.Elapsed)
	}
	if e.Test != "" {
		delete(r.output, e.Test)
	}
}

func (r *report) fail(name string, elapsed float64) {
	key := name
	if name == "tests/system" {
		key = ""
	}
	lines := r.output[key]
	why := reasons(lines)
	r.failed++
	r.failures = append(r.failures, fmt.Sprintf("FAILED %s\n%s", name, why))
	fmt.Printf("--- FAIL: %s (%.2fs)\n%s", name, elapsed, why)
	if len(lines) > maxExcerpt {
		fmt.Printf("    the last %d of %d lines:\n", maxExcerpt, len(lines))
		lines = lines[len(lines)-maxExcerpt:]
	}
	for _, line := range lines {
		fmt.Println("    . " + cut(strings.TrimSpace(line)))
	}
}

// reasons is what did not hold: the last places where the test said something, or the panic.
func reasons(lines []string) string {
	var found []string
	for i, line := range lines {
		if strings.HasPrefix(line, "panic: ") {
			found = append(found, line)
			for _, frame := range lines[i:] {
				if strings.Contains(frame, "_test.go:") {
					found = append(found, frame)
				}
			}
			return list(found[:min(maxReasons, len(found))])
		}
		if place.MatchString(line) && !attachment.MatchString(line) {
			found = append(found, line)
			for n := i + 1; n < len(lines) && n <= i+maxFollow && strings.HasPrefix(lines[n], "        "); n++ { // its second line and so on
				found = append(found, lines[n])
			}
		}
	}
	if len(found) > maxReasons {
		found = found[len(found)-maxReasons:]
	}
	if len(found) == 0 && len(lines) > 0 {
		found = lines[len(lines)-min(3, len(lines)):]
	}
	return list(found)
}

func list(lines []string) string {
	var out strings.Builder
	for _, line := range lines {
		fmt.Fprintln(&out, "    "+cut(strings.TrimSpace(line)))
	}
	return out.String()
}

func cut(line string) string {
	if len(line) > maxLine {
		return line[:maxLine] + "..."
	}
	return line
}

// finish sums up; true when something failed.
func (r *report) finish(full string) bool {
	if r.failed > 0 {
		fmt.Printf("\nall of the output is in %s\n\n", full)
		for _, f := range r.failures {
			fmt.Print(f)
		}
	}
	if r.passed+r.failed == 0 {
		fmt.Println("no test ran")
		r.failed++
	}
	fmt.Printf("%d passed, %d failed\n", r.passed, r.failed)
	return r.failed > 0
}
