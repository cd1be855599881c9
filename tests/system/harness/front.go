package harness

import (
	"maps"
	"net"
	"net/http"
	"net/http/httputil"
	"net/url"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
)

// Front is two replicas each of dashboard-api and management behind one address with TLS, which hosts (NewHost) reach too: each
// request of a browser, and each call of an agent, is with the other replica than the last. REST goes there without TLS.
type Front struct {
	*REST
	URL string // with TLS: the public URL of both services

	mu              sync.Mutex
	api, management []*Sibling
	turn            [2]atomic.Uint32
}

// Front starts the replicas; they end with the test. They sign people in by the embedded provider unless the settings say
// otherwise.
func (c *Cluster) Front(t testing.TB, settings map[string]string) *Front {
	t.Helper()
	f := &Front{}
	proxy := &httputil.ReverseProxy{Rewrite: f.route, Transport: agentsAndBrowsers(), FlushInterval: -1, ModifyResponse: statusLast}
	f.URL = c.ServeTLS(t, proxy)
	plain, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	serveHTTP(t, plain, proxy)
	f.REST = NewREST("http://"+plain.Addr().String(), c.Token)
	all := map[string]string{"public_url": f.URL, "oidc_embedded": "true", "oidc_allow_private_issuers": "true",
		"trusted_proxies": "127.0.0.0/8"}
	maps.Copy(all, settings)
	for range 2 {
		f.management = append(f.management, c.Sibling(t, "management-1", all))
		f.api = append(f.api, c.Sibling(t, "dashboard-api-1", all))
	}
	return f
}

// ServeTLS serves HTTPS at an address that hosts reach, with the certificate of the cluster's own front.
func (c *Cluster) ServeTLS(t testing.TB, handler http.Handler) string {
	t.Helper()
	l, err := net.Listen("tcp", net.JoinHostPort(Host, "0"))
	if err != nil {
		t.Fatal(err)
	}
	secrets := filepath.Join(filepath.Dir(c.CAFile), "secrets")
	serveHTTP(t, l, handler, filepath.Join(secrets, "front.crt"), filepath.Join(secrets, "front.key"))
	return "https://" + l.Addr().String()
}

func serveHTTP(t testing.TB, l net.Listener, handler http.Handler, certificate ...string) {
	server := &http.Server{Handler: handler}
	t.Cleanup(func() { _ = server.Close() })
	go func() {
		if len(certificate) == 2 {
			_ = server.ServeTLS(l, certificate[0], certificate[1])
		} else {
			_ = server.Serve(l)
		}
	}()
}

// agentsAndBrowsers speaks HTTP/2 without TLS for gRPC, and HTTP/1.1 for all else.
func agentsAndBrowsers() http.RoundTripper {
	agents := &http.Transport{Protocols: &http.Protocols{}}
	agents.Protocols.SetUnencryptedHTTP2(true)
	browsers := &http.Transport{MaxIdleConnsPerHost: 32}
	return roundTrip(func(r *http.Request) (*http.Response, error) {
		if isCall(r.URL.Path) {
			return agents.RoundTrip(r)
		}
		return browsers.RoundTrip(r)
	})
}

// statusLast has an answer that is nothing but its status keep that for its end. The proxy may send headers on their own, and
// agents look for a status only in what comes last.
func statusLast(r *http.Response) error {
	for name, values := range r.Header {
		if strings.HasPrefix(name, "Grpc-") {
			if r.Trailer == nil {
				r.Trailer = http.Header{}
			}
			r.Trailer[name] = values
			delete(r.Header, name)
		}
	}
	return nil
}

type roundTrip func(r *http.Request) (*http.Response, error)

func (f roundTrip) RoundTrip(r *http.Request) (*http.Response, error) { return f(r) }

func isCall(path string) bool { return strings.HasPrefix(path, "/management.") }

func (f *Front) route(r *httputil.ProxyRequest) {
	f.mu.Lock()
	servers, turn := f.api, &f.turn[0]
	if isCall(r.In.URL.Path) {
		servers, turn = f.management, &f.turn[1]
	}
	to := servers[int(turn.Add(1))%len(servers)].Listen
	f.mu.Unlock()
	r.SetURL(&url.URL{Scheme: "http", Host: to})
	r.Out.Host = r.In.Host
	r.SetXForwarded()
}

// Restart kills each replica of dashboard-api and starts it again, one after the other: it knows nothing but what is stored.
func (f *Front) Restart(t testing.TB) {
	t.Helper()
	for i := range f.api {
		f.api[i].Kill(t)
		twin := f.api[i].Twin(t, nil)
		f.mu.Lock()
		f.api[i] = twin
		f.mu.Unlock()
	}
}

// API is one replica of dashboard-api.
func (f *Front) API() *Sibling { return f.api[0] }
