// Package harness runs a control plane and the clients of its ecosystem for the system tests.
package harness

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"time"
)

// Host is the address of the namespace that in-netns makes; agents offer it to each other.
const Host = "10.99.0.1"

// EnvStatus names a file with the answer of `rookery status --json`. When it is set, tests use that running control plane
// and start none: this is how a child process of the tests joins its parent's.
const EnvStatus = "ROOKERY_TEST_STATUS"

// Process is one running part of the control plane.
type Process struct {
	Name   string `json:"name"`
	PID    int    `json:"pid"`
	Listen string `json:"listen"`
	Admin  string `json:"admin"`
}

// Status is the answer of `rookery status --json`.
type Status struct {
	FrontURL      string    `json:"front_url"`
	ManagementURL string    `json:"management_url"`
	APIURL        string    `json:"api_url"`
	SignalURL     string    `json:"signal_url"`
	RelayURLs     []string  `json:"relay_urls"`
	StunURLs      []string  `json:"stun_urls"`
	Token         string    `json:"token"`
	SetupKey      string    `json:"setup_key"`
	Issuer        string    `json:"issuer"`
	OwnerEmail    string    `json:"owner_email"`
	OwnerPassword string    `json:"owner_password"`
	CAFile        string    `json:"ca_file"`
	HaproxySocket string    `json:"haproxy_socket"`
	Postgres      string    `json:"postgres"`
	Redis         string    `json:"redis"`
	Processes     []Process `json:"processes"`
}

// Cluster is a control plane: one started by Up, or one that runs already.
type Cluster struct {
	Status
	Bearer   bool // the owner's token is an identity provider's
	script   string
	dir      string
	port     int
	options  []string // of `rookery up`
	attached bool
}

// Ports of the clusters of a run: 60 each from a base on. Below the clients' own (in-netns), above FreePort's.
const firstBasePort, basePortStep, maxClusters = 24000, 60, 100

// envBasePort is of the one cluster that a child process may start: the others of the run are not known to it.
const envBasePort = "ROOKERY_TEST_BASE_PORT"

var clusters atomic.Int32

// nextBasePort is of ports that no other cluster of the run has had.
func nextBasePort() (int, error) {
	n := int(clusters.Add(1))
	port := os.Getenv(envBasePort)
	switch {
	case port != "" && n == 1:
		return strconv.Atoi(port)
	case port != "":
		return 0, errors.New("a child process starts one cluster")
	case n > maxClusters:
		return 0, fmt.Errorf("more than %d clusters in one run", maxClusters)
	}
	return firstBasePort + (n-1)*basePortStep, nil
}

// Up starts a control plane of two replicas a tier, in a new directory, with ports of its own.
func Up() (*Cluster, error) { return UpWith(2, nil) }

// UpWith is Up with so many replicas, unless there are none settings that say where Postgres and Redis are, and more options of
// `rookery up`.
func UpWith(replicas int, stores map[string]string, options ...string) (*Cluster, error) {
	if file := os.Getenv(EnvStatus); file != "" {
		return attach(file)
	}
	script, err := findScript()
	if err != nil {
		return nil, err
	}
	return upBy(script, replicas, stores, options)
}

// UpAs is UpWith as the version of another tree, which is built already. What is started later is of this one.
func UpAs(tree string, replicas int, stores map[string]string, options ...string) (*Cluster, error) {
	script, err := findScript()
	if err != nil {
		return nil, err
	}
	c, err := upBy(filepath.Join(tree, "rookery"), replicas, stores, options)
	if err != nil {
		return nil, err
	}
	c.script = script
	return c, nil
}

func upBy(script string, replicas int, stores map[string]string, options []string) (*Cluster, error) {
	// Short, as Unix sockets lie below it, and open to the user that Postgres runs as.
	dir, err := os.MkdirTemp("", "rk")
	if err != nil {
		return nil, err
	}
	if err := os.Chmod(dir, 0o755); err != nil {
		return nil, err
	}
	port, err := nextBasePort()
	if err != nil {
		return nil, err
	}
	c := &Cluster{script: script, dir: dir, port: port, options: append([]string{"--replicas", strconv.Itoa(replicas)}, options...)}
	if stores != nil {
		var text strings.Builder
		for key, value := range stores {
			fmt.Fprintf(&text, "%s = %s\n", key, value)
		}
		file := filepath.Join(dir, "stores.conf")
		if err := os.WriteFile(file, []byte(text.String()), 0o600); err != nil {
			return nil, err
		}
		c.options = append(c.options, "--stores", file)
	}
	if err := c.up(); err != nil {
		err = fmt.Errorf("%w\n%s", err, c.Logs(15))
		c.Down()
		return nil, err
	}
	return c, nil
}

// findScript looks for the script in the directories above: every package of tests runs in its own.
func findScript() (string, error) {
	dir, err := os.Getwd()
	if err != nil {
		return "", err
	}
	for ; dir != filepath.Dir(dir); dir = filepath.Dir(dir) {
		script := filepath.Join(dir, "rookery")
		if s, err := os.Stat(script); err == nil && s.Mode().IsRegular() {
			return script, nil
		}
	}
	return "", errors.New("the script rookery is in no directory above")
}

func attach(file string) (*Cluster, error) {
	text, err := os.ReadFile(file)
	if err != nil {
		return nil, err
	}
	c := &Cluster{attached: true}
	if err := json.Unmarshal(text, &c.Status); err != nil {
		return nil, fmt.Errorf("%s: %w", file, err)
	}
	return c, nil
}

// rookery runs the script and returns what it wrote to stdout.
func (c *Cluster) rookery(limit time.Duration, args ...string) ([]byte, error) {
	ctx, cancel := context.WithTimeout(context.Background(), limit)
	defer cancel()
	cmd := exec.CommandContext(ctx, c.script, append(args, "--dir", filepath.Join(c.dir, "d"))...)
	cmd.Dir = filepath.Dir(c.script)
	cmd.WaitDelay = time.Second // daemons may hold the pipes open
	var out, errs bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &errs
	err := cmd.Run()
	if err != nil && !errors.Is(err, exec.ErrWaitDelay) {
		return nil, fmt.Errorf("rookery %s: %w\n%s%s", strings.Join(args, " "), err, out.Bytes(), errs.Bytes())
	}
	return out.Bytes(), nil
}

// The first start may have to build everything.
const upLimit = 10 * time.Minute

func (c *Cluster) up() error {
	args := append([]string{"up", "--host", Host, "--base-port", strconv.Itoa(c.port)}, c.options...)
	if _, err := c.rookery(upLimit, args...); err != nil {
		return err
	}
	return c.Refresh()
}

// Data is the directory of the database.
func (c *Cluster) Data() string { return filepath.Join(c.dir, "d", "postgres") }

// Secret is the file of one of the services' secrets.
func (c *Cluster) Secret(name string) string { return filepath.Join(c.dir, "d", "secrets", name) }

// Refresh reads the status again.
func (c *Cluster) Refresh() error {
	out, err := c.rookery(time.Minute, "status", "--json")
	if err != nil {
		return err
	}
	var s Status
	if err := json.Unmarshal(out, &s); err != nil {
		return fmt.Errorf("status: %w: %s", err, out)
	}
	c.Status = s
	return nil
}

// Down ends every process of a control plane that Up started, and removes its data.
func (c *Cluster) Down() {
	if c == nil || c.attached {
		return
	}
	if _, err := c.rookery(2*time.Minute, "down", "--wipe"); err != nil {
		fmt.Fprintln(os.Stderr, err)
	}
	for _, p := range c.Processes {
		if alive(p.PID) {
			fmt.Fprintf(os.Stderr, "%s, process %d, survived `rookery down`\n", p.Name, p.PID)
			_ = syscall.Kill(p.PID, syscall.SIGKILL)
		}
	}
	_ = os.RemoveAll(c.dir)
}

// Attached tells whether somebody else started this control plane.
func (c *Cluster) Attached() bool { return c.attached }

// SaveStatus writes the status where a child process can be told to find it.
func (c *Cluster) SaveStatus(t testing.TB) string {
	t.Helper()
	text, err := json.Marshal(c.Status)
	if err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(t.TempDir(), "status.json")
	if err := os.WriteFile(file, text, 0o600); err != nil {
		t.Fatal(err)
	}
	return file
}

// Names lists the replicas of a tier, or, for "", every process.
func (c *Cluster) Names(tier string) []string {
	var names []string
	for _, p := range c.Processes {
		if tier == "" || strings.HasPrefix(p.Name, tier+"-") {
			names = append(names, p.Name)
		}
	}
	return names
}

// Proc is the process of that name; the test fails without one.
func (c *Cluster) Proc(t testing.TB, name string) Process {
	t.Helper()
	for _, p := range c.Processes {
		if p.Name == name {
			return p
		}
	}
	t.Fatalf("no process %s in %v", name, c.Names(""))
	return Process{}
}

// Kill ends a process with SIGKILL and returns when it is gone.
func (c *Cluster) Kill(t testing.TB, name string) {
	t.Helper()
	c.end(t, name, syscall.SIGKILL, 5*time.Second)
}

// Terminate asks a service to drain and returns when it is gone.
func (c *Cluster) Terminate(t testing.TB, name string) {
	t.Helper()
	c.end(t, name, syscall.SIGTERM, 20*time.Second)
}

func (c *Cluster) end(t testing.TB, name string, signal syscall.Signal, limit time.Duration) {
	t.Helper()
	pid := c.Proc(t, name).PID
	if err := syscall.Kill(pid, signal); err != nil {
		t.Fatalf("%v to %s (%d): %v", signal, name, pid, err)
	}
	Eventually(t, limit, name+" is gone", func() error {
		if alive(pid) {
			return fmt.Errorf("process %d still runs", pid)
		}
		return nil
	})
}

// SQL runs one statement in the cluster's database and returns what psql prints of its rows.
func (c *Cluster) SQL(t testing.TB, statement string) string {
	t.Helper()
	return mustPSQL(t, c.Postgres, statement)
}

// AdminSQL is SQL as the database's superuser.
func (c *Cluster) AdminSQL(t testing.TB, statement string) string {
	t.Helper()
	return mustPSQL(t, c.Admin(), statement)
}

// Admin leads to the cluster's database as its superuser.
func (c *Cluster) Admin() string {
	return strings.ReplaceAll(c.Postgres, "user=rookery", "user=postgres")
}

// Hold runs one statement in a transaction, which keeps its locks until the returned function is called or the test is over.
func (c *Cluster) Hold(t testing.TB, statement string) func() {
	t.Helper()
	cmd := exec.Command("psql", "-XAtq", "-v", "ON_ERROR_STOP=1", "-d", c.Postgres)
	in, lines, release := converse(t, cmd)
	t.Cleanup(release)
	if _, err := fmt.Fprintf(in, "BEGIN;\n%s;\n\\echo held\n", statement); err != nil {
		t.Fatal(err)
	}
	for lines.Scan() {
		if lines.Text() == "held" {
			return release
		}
	}
	t.Fatalf("%s: not carried out", statement)
	return nil
}

// SQLAfter runs one statement when a test is over, whose context does not count any more.
func (c *Cluster) SQLAfter(statement string) {
	_ = exec.Command("psql", "-XAtq", "-d", c.Postgres, "-c", statement).Run()
}

// CPU is the processor time a process has taken so far.
func (c *Cluster) CPU(t testing.TB, name string) time.Duration {
	t.Helper()
	stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", c.Proc(t, name).PID))
	if err != nil {
		t.Fatal(err)
	}
	_, after, _ := strings.Cut(string(stat), ") ")
	fields := strings.Fields(after) // from the third on
	var ticks int
	for _, f := range fields[11:13] {
		n, err := strconv.Atoi(f)
		if err != nil {
			t.Fatal(err)
		}
		ticks += n
	}
	return time.Duration(ticks) * time.Second / 100 // USER_HZ
}

// Restart starts again what was killed, and returns when everything is ready.
func (c *Cluster) Restart(t testing.TB) {
	t.Helper()
	if err := c.up(); err != nil {
		t.Fatal(err)
	}
}

// Unsettle writes another line into the settings of every service, and has `rookery up` begin to put them right, which is killed as
// soon as it says that it does something.
func (c *Cluster) Unsettle(t testing.TB, says string) {
	t.Helper()
	for _, name := range c.Names("") {
		file := filepath.Join(c.dir, "d", "conf", name+".conf")
		text, err := os.ReadFile(file)
		if err != nil {
			continue // of a store
		}
		if err := os.WriteFile(file, append(text, "# another\n"...), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	cmd := exec.Command(c.script, append([]string{"up", "--dir", filepath.Join(c.dir, "d")}, c.options...)...)
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	said, err := cmd.StderrPipe()
	if err == nil {
		err = cmd.Start()
	}
	if err != nil {
		t.Fatal(err)
	}
	var all strings.Builder
	for line := range Lines(said) {
		all.WriteString(line + "\n")
		if strings.Contains(line, says) {
			_ = syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL)
			_ = cmd.Wait()
			return
		}
	}
	t.Fatalf("`rookery up` did not say %q: %v\n%s", says, cmd.Wait(), all.String())
}

// alive is false for a zombie too.
func alive(pid int) bool {
	stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return false
	}
	_, after, ok := strings.Cut(string(stat), ") ")
	return !ok || !strings.HasPrefix(after, "Z")
}

// logFiles are the log files below the cluster's directory.
func (c *Cluster) logFiles() []string {
	var files []string
	_ = filepath.WalkDir(c.dir, func(path string, d fs.DirEntry, err error) error {
		if err == nil && !d.IsDir() && strings.HasSuffix(path, ".log") {
			files = append(files, path)
		}
		return nil
	})
	return files
}

// LogTexts are all logs of all services and stores so far, by file.
func (c *Cluster) LogTexts(t testing.TB) map[string]string {
	t.Helper()
	texts := map[string]string{}
	for _, path := range c.logFiles() {
		text, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		texts[path] = string(text)
	}
	return texts
}

// Logs returns the last lines of every log file below the cluster's directory.
func (c *Cluster) Logs(lines int) string {
	var out strings.Builder
	for _, path := range c.logFiles() {
		text, err := os.ReadFile(path)
		if err != nil {
			continue
		}
		all := strings.Split(strings.TrimRight(string(text), "\n"), "\n")
		if len(all) > lines {
			all = all[len(all)-lines:]
		}
		fmt.Fprintf(&out, "==> %s\n%s\n", path, strings.Join(all, "\n"))
	}
	return out.String()
}

// EnvLogs names the directory where the logs of a failed test are kept.
const EnvLogs = "ROOKERY_TEST_LOGS"

// DumpOnFailure keeps every log when the test has failed, and prints the warnings and errors among the last lines.
func (c *Cluster) DumpOnFailure(t testing.TB) {
	t.Cleanup(func() {
		if t.Failed() && !c.attached {
			t.Logf("the logs are in %s; the last warnings and errors:\n%s", c.keepLogs(t), strings.Join(c.complaints(20), "\n"))
		}
	})
}

func (c *Cluster) keepLogs(t testing.TB) string {
	root := os.Getenv(EnvLogs)
	if root == "" {
		root = os.TempDir()
	}
	to := filepath.Join(root, strings.ReplaceAll(t.Name(), "/", "."))
	if err := os.MkdirAll(to, 0o755); err != nil {
		return err.Error()
	}
	for _, path := range c.logFiles() {
		text, err := os.ReadFile(path)
		if err == nil {
			err = os.WriteFile(filepath.Join(to, filepath.Base(path)), text, 0o644)
		}
		if err != nil {
			return err.Error()
		}
	}
	return to
}

// complaints are the services' last records of level warn or error, oldest first.
func (c *Cluster) complaints(max int) []string {
	var found []string
	for _, path := range c.logFiles() {
		text, err := os.ReadFile(path)
		if err != nil {
			continue
		}
		for _, line := range strings.Split(string(text), "\n") {
			if strings.Contains(line, `"level":"warn"`) || strings.Contains(line, `"level":"error"`) {
				found = append(found, line)
			}
		}
	}
	slices.Sort(found) // each begins with its time
	if len(found) > max {
		found = found[len(found)-max:]
	}
	return found
}

// Endpoint is host:port of a URL such as http://h:1, rel://h:1 or stun:h:1.
func Endpoint(t testing.TB, raw string) string {
	t.Helper()
	u, err := url.Parse(raw)
	if err != nil {
		t.Fatal(err)
	}
	hostport := u.Host
	if hostport == "" {
		hostport = u.Opaque
	}
	if _, _, err := net.SplitHostPort(hostport); err != nil {
		t.Fatalf("%s: %v", raw, err)
	}
	return hostport
}
