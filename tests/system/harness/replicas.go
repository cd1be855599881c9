package harness

import (
	"context"
	"fmt"
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

	mu   sync.Mutex
	turn int
	out  map[int]bool
}

// DashboardAPI starts n replicas with the embedded provider, which believes in providers on private addresses.
// The settings come on top; wrapper as in Sibling.
func (c *Cluster) DashboardAPI(t testing.TB, n int, settings map[string]string, wrapper ...string) *Replicas {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	s := &Replicas{REST: NewREST("http://"+l.Addr().String(), c.Token), out: map[int]bool{}}
	all := map[string]string{"public_url": s.URL, "oidc_embedded": "true", "oidc_allow_private_issuers": "true", "trusted_proxies": "127.0.0.0/8"}
	for key, value := range settings {
		all[key] = value
	}
	for range n {
		s.All = append(s.All, c.Sibling(t, "dashboard-api-1", all, wrapper...))
	}
	server := &http.Server{Handler: s.proxy()}
	go func() { _ = server.Serve(l) }()
	t.Cleanup(func() { _ = server.Close() })
	return s
}

func (s *Replicas) pick() (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for range s.All {
		s.turn = (s.turn + 1) % len(s.All)
		if !s.out[s.turn] {
			return s.turn, nil
		}
	}
	return 0, fmt.Errorf("every replica is out")
}

// Drop kills a replica, and gives it no more requests.
func (s *Replicas) Drop(t testing.TB, i int) {
	t.Helper()
	s.mu.Lock()
	s.out[i] = true
	s.mu.Unlock()
	s.All[i].Kill(t)
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
		i, err := s.pick()
		if err != nil {
			return nil, err
		}
		return (&net.Dialer{}).DialContext(ctx, network, s.All[i].Listen)
	}, DisableKeepAlives: true} // each request finds its own way
	return &httputil.ReverseProxy{Transport: transport, Rewrite: func(r *httputil.ProxyRequest) {
		r.Out.URL.Scheme, r.Out.URL.Host = "http", r.In.Host
		r.Out.Header["X-Forwarded-For"] = slices.Clone(r.In.Header["X-Forwarded-For"])
		r.SetXForwarded()
	}}
}
