package harness

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log"
	"maps"
	"net"
	"net/http"
	"net/http/httputil"
	"slices"
	"sync"
	"testing"
)

// Replicas are replicas of dashboard-api with settings of their own behind an address of their own, which gives each request
// to the next one in turn, so that no two steps of anything meet the same process.
type Replicas struct {
	*REST
	All []*Sibling

	t      testing.TB
	mu     sync.Mutex
	turn   int
	out    map[int]bool
	losing bool
}

// DashboardAPI starts n replicas with the embedded provider, which believes in providers on private addresses.
// The settings come on top; wrapper as in Sibling.
func (c *Cluster) DashboardAPI(t testing.TB, n int, settings map[string]string, wrapper ...string) *Replicas {
	t.Helper()
	s := newReplicas(t, "127.0.0.1", c.Token)
	all := map[string]string{"public_url": s.URL, "oidc_embedded": "true", "oidc_allow_private_issuers": "true", "trusted_proxies": "127.0.0.0/8"}
	maps.Copy(all, settings)
	for range n {
		s.All = append(s.All, c.Sibling(t, "dashboard-api-1", all, wrapper...))
	}
	return s
}

// newReplicas is the address alone, under that name of this host.
func newReplicas(t testing.TB, host, token string) *Replicas {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	_, port, _ := net.SplitHostPort(l.Addr().String())
	s := &Replicas{REST: NewREST("http://"+net.JoinHostPort(host, port), token), t: t, out: map[int]bool{}}
	server := &http.Server{Handler: s.proxy()}
	go func() { _ = server.Serve(l) }()
	t.Cleanup(func() { _ = server.Close() })
	return s
}

// pick is the address of the next one.
func (s *Replicas) pick() (string, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for range s.All {
		s.turn = (s.turn + 1) % len(s.All)
		if !s.out[s.turn] {
			return s.All[s.turn].Listen, nil
		}
	}
	return "", fmt.Errorf("every replica is out")
}

// Drop kills a replica, and gives it no more requests.
func (s *Replicas) Drop(t testing.TB, i int) {
	t.Helper()
	s.mu.Lock()
	s.out[i] = true
	s.mu.Unlock()
	s.All[i].Kill(t)
}

// Renew kills the replica that got the last request, and starts another one in its place, which lives as long as the others.
func (s *Replicas) Renew() {
	i := s.Last()
	s.All[i].Kill(s.t)
	twin := s.All[i].Twin(s.t, nil)
	s.mu.Lock()
	defer s.mu.Unlock()
	s.All[i] = twin
}

// Lose has the replica that does the next request die before it can say so.
func (s *Replicas) Lose() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.losing = true
}

// Lost tells whether that has happened.
func (s *Replicas) Lost() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return !s.losing
}

// Last is the replica that got the last request.
func (s *Replicas) Last() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.turn
}

// Log is what all of them have logged so far.
func (s *Replicas) Log() string {
	var all []string
	for _, r := range s.All {
		all = append(all, r.Log())
	}
	return fmt.Sprint(all)
}

func (s *Replicas) proxy() http.Handler {
	transport := &http.Transport{Proxy: nil, DialContext: func(ctx context.Context, network, _ string) (net.Conn, error) {
		to, err := s.pick()
		if err != nil {
			return nil, err
		}
		return (&net.Dialer{}).DialContext(ctx, network, to)
	}, DisableKeepAlives: true} // each request finds its own way
	return &httputil.ReverseProxy{Transport: transport, Rewrite: func(r *httputil.ProxyRequest) {
		r.Out.URL.Scheme, r.Out.URL.Host, r.Out.Host = "http", r.In.Host, r.In.Host
		// As a proxy in front of ours does; a test that is many people says who.
		r.Out.Header["X-Forwarded-For"] = slices.Clone(r.In.Header["X-Forwarded-For"])
		r.SetXForwarded()
	}, ModifyResponse: func(*http.Response) error {
		s.mu.Lock()
		lost := s.losing
		s.losing = false
		s.mu.Unlock()
		if !lost {
			return nil
		}
		s.Renew()
		return errors.New("the answer is lost")
	}, ErrorLog: log.New(io.Discard, "", 0)}
}
