package differential

import (
	"context"
	"crypto/rand"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"

	"github.com/netbirdio/netbird/shared/management/proto"

	"rookery.test/system/harness"
)

// server is one of the two under comparison, with an account of its own in it.
type server struct {
	t        testing.TB
	label    string
	api      string // URL
	provider string // URL of its own identity provider
	ca       string // the certificate to believe there; empty without TLS
	// Where changes are asked for, if elsewhere. Of two routers for one peer the younger counts, and replicas that make objects
	// in the same second do not know which of theirs is: so one replica makes them all.
	writes string
	conn   *grpc.ClientConn
	rest   *harness.REST
	names  *names

	mu    sync.Mutex
	lines map[string]*line // by the name of the peer

	labels map[string]string // DNS labels, by the name of the peer
	told   map[string]object // events, by their id
}

func newServer(t testing.TB, label, api, management string) (*server, error) {
	conn, err := grpc.NewClient("passthrough:///"+management, grpc.WithTransportCredentials(insecure.NewCredentials()),
		grpc.WithNoProxy(), grpc.WithDefaultCallOptions(grpc.MaxCallRecvMsgSize(16<<20)))
	if err != nil {
		return nil, err
	}
	return &server{t: t, label: label, api: api, provider: api, conn: conn}, nil
}

// ask sends the owner's request with references; the answer is neither read nor translated.
func (s *server) ask(ctx context.Context, method, path string, body any) (*harness.Answer, error) {
	return s.askAs(ctx, "", method, path, body)
}

// askAs has somebody else ask, by the name of a user or a token.
func (s *server) askAs(ctx context.Context, who, method, path string, body any) (*harness.Answer, error) {
	var text any
	if body != nil {
		plain, err := json.Marshal(body)
		if err != nil {
			return nil, err
		}
		text = s.names.fill(string(plain))
	}
	rest := s.rest
	if method != "GET" && s.writes != "" {
		rest = harness.NewREST(s.writes, rest.Token)
	}
	switch secret := s.names.ids[who+".secret"]; {
	case strings.HasPrefix(who, "user:"):
		rest = harness.NewBearer(rest.URL, secret)
	case who != "":
		rest = harness.NewREST(rest.URL, secret)
	}
	a, err := rest.Try(ctx, method, s.names.fill(path), text)
	if errors.Is(err, io.EOF) { // a request that the server did not survive
		return &harness.Answer{Body: []byte("the connection ends")}, nil
	}
	return a, err
}

// get asks for JSON that has to come with status 200.
func (s *server) get(ctx context.Context, path string, out any) error {
	a, err := s.ask(ctx, "GET", path, nil)
	if err != nil {
		return fmt.Errorf("%s: %w", s.label, err)
	}
	if a.Status != http.StatusOK {
		return fmt.Errorf("%s: GET %s: status %d: %s", s.label, path, a.Status, a.Body)
	}
	return json.Unmarshal(a.Body, out)
}

// open makes the first account, and learns what the server chose for it.
func (s *server) open(ctx context.Context) error {
	s.names, s.lines, s.labels, s.told = newNames(), map[string]*line{}, map[string]string{}, map[string]object{}
	s.rest = harness.NewREST(s.api, "")
	const email = "owner@rookery.test"
	password := base64.RawStdEncoding.EncodeToString(random(24)) + "-A1"
	a, err := s.ask(ctx, "POST", "/api/setup", map[string]any{"email": email, "name": "Owner", "password": password, "create_pat": true})
	if err != nil {
		return err
	}
	var made struct {
		UserID string `json:"user_id"`
		Token  string `json:"personal_access_token"`
	}
	if err := json.Unmarshal(a.Body, &made); err != nil || made.Token == "" {
		return fmt.Errorf("%s: setup: status %d: %s", s.label, a.Status, a.Body)
	}
	s.rest = harness.NewREST(s.api, made.Token)
	s.names.bind("user:owner", made.UserID)
	s.names.user("user:owner")
	s.names.ids["user:owner.email"], s.names.ids["user:owner.password"] = email, password

	var accounts, groups, policies, tokens []struct{ ID, Name string }
	if err := s.get(ctx, "/api/accounts", &accounts); err != nil {
		return err
	}
	if err := s.get(ctx, "/api/groups", &groups); err != nil {
		return err
	}
	if err := s.get(ctx, "/api/policies", &policies); err != nil {
		return err
	}
	if err := s.get(ctx, "/api/users/"+made.UserID+"/tokens", &tokens); err != nil {
		return err
	}
	if len(tokens) != 1 || len(accounts) != 1 || len(groups) != 1 || len(policies) != 1 {
		return fmt.Errorf("%s: a new account has %d tokens, %d accounts, %d groups, %d policies", s.label, len(tokens), len(accounts), len(groups), len(policies))
	}
	s.names.network(scriptRange, "network 4")
	s.names.network(scriptRange6, "network 6")
	s.names.bind("account", accounts[0].ID)
	s.names.bind("token:owner", tokens[0].ID)
	s.names.bind("group:All", groups[0].ID)
	s.names.bind("policy:Default", policies[0].ID)
	return s.learnNetwork(ctx)
}

// bare is the agent's connection to this server.
func (s *server) bare(a *agent) *harness.Bare {
	return &harness.Bare{Key: a.key, RPC: proto.NewManagementServiceClient(s.conn), Conn: s.conn, Meta: a.meta}
}

// syncLimit bounds the wait for the first message of a stream.
const syncLimit = 15 * time.Second

// fresh opens the agent's stream anew and returns the first message. Stock ends both streams of a peer when one comes while
// the other is still being taken down; then it is tried again.
func (s *server) fresh(ctx context.Context, a *agent) (*proto.SyncResponse, *harness.Stream, error) {
	deadline := time.Now().Add(syncLimit)
	for {
		stream, err := s.bare(a).TrySync(ctx)
		if err == nil {
			var first *proto.SyncResponse
			if first, err = stream.TryNext(syncLimit); err == nil {
				return first, stream, nil
			}
			stream.Cut()
		}
		if refused(err) || time.Now().After(deadline) {
			return nil, nil, err
		}
	}
}

// line is an open stream, with the newest map that came over it.
type line struct {
	stream *harness.Stream
	newest *proto.SyncResponse
}

// follow waits for the next map; an error says that none came, or that the stream has ended.
func (l *line) follow(limit time.Duration) error {
	for deadline := time.Now().Add(limit); ; {
		m, err := l.stream.TryNext(max(0, time.Until(deadline)))
		if err != nil {
			return err
		}
		if m.GetNetworkMap() != nil {
			l.newest = m
			return nil
		}
	}
}

// line is the agent's open stream, nil without one.
func (s *server) line(name string) *line {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.lines[name]
}

func (s *server) hangUp(name string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if l := s.lines[name]; l != nil {
		l.stream.Cut()
		delete(s.lines, name)
	}
}

// begin opens the agent's stream anew, and returns what it begins with, or how it was refused.
func (s *server) begin(ctx context.Context, a *agent) (any, error) {
	s.hangUp(a.name)
	first, stream, err := s.fresh(ctx, a)
	if err != nil {
		return s.failure(err)
	}
	s.mu.Lock()
	s.lines[a.name] = &line{stream, first}
	s.mu.Unlock()
	return s.names.value(plainSync(first)), nil
}

// cut ends all streams.
func (s *server) cut() {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, l := range s.lines {
		l.stream.Cut()
	}
	s.lines = map[string]*line{}
}

func random(n int) []byte {
	b := make([]byte, n)
	_, _ = rand.Read(b)
	return b
}

// The environment says which stock server to run, and how: see tests/system/differential/run.
const (
	envStock   = "ROOKERY_STOCK"   // the program
	envStarter = "ROOKERY_STARTER" // the script that configures and starts it
)

// stockPort is the first of the stock server's ports; it takes 33073 as well.
const stockPort = 22090

// stock is a process of the stock server with a data directory of its own.
type stock struct {
	cmd  *exec.Cmd
	dir  string
	done chan error
}

// startStock starts a server without any account. A memory disk spares it the waiting for a real one.
func startStock(ctx context.Context) (*stock, error) {
	program, starter := os.Getenv(envStock), os.Getenv(envStarter)
	if program == "" || starter == "" {
		return nil, errors.New("run this through tests/system/differential/run, which builds the stock server")
	}
	root := "/dev/shm"
	if _, err := os.Stat(root); err != nil {
		root = ""
	}
	dir, err := os.MkdirTemp(root, "stock")
	if err != nil {
		return nil, err
	}
	log, err := os.Create(filepath.Join(dir, "log"))
	if err != nil {
		return nil, err
	}
	defer log.Close()
	cmd := exec.Command(starter, program, dir, harness.Host, fmt.Sprint(stockPort))
	cmd.Stdout, cmd.Stderr = log, log
	if err := cmd.Start(); err != nil {
		return nil, err
	}
	s := &stock{cmd: cmd, dir: dir, done: make(chan error, 1)}
	go func() { s.done <- cmd.Wait() }()
	if err := s.ready(ctx); err != nil {
		text, _ := os.ReadFile(filepath.Join(dir, "log"))
		s.stop()
		return nil, fmt.Errorf("the stock server does not start: %w\n%s", err, text)
	}
	return s, nil
}

func (s *stock) url() string { return fmt.Sprintf("http://%s:%d", harness.Host, stockPort) }

func (s *stock) ready(ctx context.Context) error {
	rest := harness.NewREST(s.url(), "")
	return harness.Within(2*time.Minute, func() error {
		_, err := rest.Try(ctx, "GET", "/api/instance", nil)
		return err
	})
}

// stop ends the process and removes its data.
func (s *stock) stop() {
	_ = s.cmd.Process.Kill()
	<-s.done
	_ = os.RemoveAll(s.dir)
}
