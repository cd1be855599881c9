package harness

import (
	"bytes"
	"encoding/json"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"
)

// FleetReport is what rookery-fleet writes of a run.
type FleetReport struct {
	Run    string
	Faults int
	Steps  []FleetStep
}

// FleetStep is one step of a scenario.
type FleetStep struct {
	Step           string
	Seconds        float64
	Agents, Online int
	Times          map[string]FleetTimes
	Counts, Faults map[string]int
	FirstFault     string `json:"first_fault"`
}

// FleetTimes are milliseconds.
type FleetTimes struct {
	Count int
	P50   float64 `json:"p50_ms"`
	P99   float64 `json:"p99_ms"`
	Max   float64 `json:"max_ms"`
}

// Fleet is a run of rookery-fleet against a cluster.
type Fleet struct {
	cmd    *exec.Cmd
	lines  chan string
	output bytes.Buffer
	errs   bytes.Buffer
	json   string
}

// Build is the directory of the programs, of the version that this cluster's script is of.
func (c *Cluster) Build(t testing.TB) string {
	t.Helper()
	build := filepath.Dir(c.Proc(t, c.Names("management")[0]).Program(t))
	if c.script != "" {
		build = filepath.Join(filepath.Dir(c.script), "build", filepath.Base(build))
	}
	return build
}

// StartFleet starts rookery-fleet with a scenario; options come after those that it always has, and win.
func (c *Cluster) StartFleet(t testing.TB, scenario string, options ...string) *Fleet {
	t.Helper()
	dir := t.TempDir()
	file := filepath.Join(dir, "scenario")
	if err := os.WriteFile(file, []byte(scenario), 0o600); err != nil {
		t.Fatal(err)
	}
	f := &Fleet{json: filepath.Join(dir, "report.json"), lines: make(chan string, 1000)}
	args := append([]string{"--management", c.ManagementURL, "--api", c.FrontURL, "--ca", c.CAFile, "--json", f.json}, options...)
	f.cmd = exec.Command(filepath.Join(c.Build(t), "rookery-fleet"), append(args, file)...)
	f.cmd.Env = append(os.Environ(), "ROOKERY_TOKEN="+c.Token)
	f.cmd.Stderr = &f.errs
	out, err := f.cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := f.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = f.cmd.Process.Kill() })
	go func() {
		defer close(f.lines)
		for line := range Lines(out) {
			f.lines <- line
		}
	}()
	return f
}

// Skip passes over the steps that have been done by now.
func (f *Fleet) Skip() {
	for {
		select {
		case line, more := <-f.lines:
			if !more {
				return
			}
			f.output.WriteString(line + "\n")
		default:
			return
		}
	}
}

// After waits until the next step of that name has been done.
func (f *Fleet) After(t testing.TB, step string, limit time.Duration) {
	t.Helper()
	late := time.After(limit)
	for {
		select {
		case line, more := <-f.lines:
			f.output.WriteString(line + "\n")
			if strings.HasPrefix(line, step+" ") {
				return
			}
			if !more {
				t.Fatalf("the fleet has ended before %s is done\n%s%s", step, &f.output, &f.errs)
			}
		case <-late:
			t.Fatalf("%s is not done after %v\n%s%s", step, limit, &f.output, &f.errs)
		}
	}
}

// Signal goes to all its processes.
func (f *Fleet) Signal(signal syscall.Signal) { signalAll(f.cmd.Process.Pid, signal) }

// Interrupt ends the run where it is; the report is about the steps until then.
func (f *Fleet) Interrupt(t testing.TB) {
	t.Helper()
	if err := f.cmd.Process.Signal(os.Interrupt); err != nil {
		t.Error(err)
	}
}

// Wait returns the report of a run that has ended, and its exit status.
func (f *Fleet) Wait(t testing.TB, limit time.Duration) (*FleetReport, int) {
	t.Helper()
	late := time.AfterFunc(limit, func() { _ = f.cmd.Process.Kill() })
	for line := range f.lines {
		f.output.WriteString(line + "\n")
	}
	err := f.cmd.Wait()
	if !late.Stop() {
		t.Fatalf("the fleet is not done after %v\n%s%s", limit, &f.output, &f.errs)
	}
	var exit *exec.ExitError
	if err != nil && !errors.As(err, &exit) {
		t.Fatal(err)
	}
	text, err := os.ReadFile(f.json)
	if err != nil {
		t.Fatalf("no report: %v\n%s%s", err, &f.output, &f.errs)
	}
	var r FleetReport
	if err := json.Unmarshal(text, &r); err != nil {
		t.Fatalf("%v: %s", err, text)
	}
	return &r, f.cmd.ProcessState.ExitCode()
}

// Output is the table that the run has printed so far, and its errors.
func (f *Fleet) Output() string { return f.output.String() + f.errs.String() }
