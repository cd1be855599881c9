package harness

import (
	"context"
	"io"
	"maps"
	"net"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"sync/atomic"
	"testing"

	"github.com/netbirdio/netbird/shared/management/proto"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/resolver"
	"google.golang.org/grpc/resolver/manual"
)

// SSO is two replicas each of management and dashboard-api that believe one identity provider, beside the cluster's own, which
// believe none. Whoever uses them through here is with the other replica at each request.
type SSO struct {
	*Cluster
	Issuer        *Issuer
	APIURL        string // a request to each in turn
	ManagementURL string // a connection to each in turn
	Management    [2]*Sibling
	API           [2]*Sibling
}

// SSO starts the replicas; they end with the test.
func (c *Cluster) SSO(t testing.TB, issuer *Issuer, more map[string]string) *SSO {
	t.Helper()
	settings := issuer.Settings()
	maps.Copy(settings, more)
	s := &SSO{Cluster: c, Issuer: issuer}
	for n := range s.API {
		s.Management[n] = c.Sibling(t, "management-1", settings)
		s.API[n] = c.Sibling(t, "dashboard-api-1", settings)
	}
	s.APIURL = inTurn(t, s.API[0].Listen, s.API[1].Listen)
	s.ManagementURL = "http://" + connectInTurn(t, s.Management[0].Listen, s.Management[1].Listen)
	return s
}

// inTurn is the URL of a proxy that sends each request to the next of the servers.
func inTurn(t testing.TB, servers ...string) string {
	var n atomic.Uint32
	proxy := &httputil.ReverseProxy{Rewrite: func(r *httputil.ProxyRequest) {
		r.SetURL(&url.URL{Scheme: "http", Host: servers[int(n.Add(1))%len(servers)]})
	}, Transport: &http.Transport{Proxy: nil, MaxIdleConnsPerHost: 32}}
	server := httptest.NewServer(proxy)
	t.Cleanup(server.Close)
	return server.URL
}

// connectInTurn is the address of a listener that joins each connection with the next of the servers.
func connectInTurn(t testing.TB, servers ...string) string {
	t.Helper()
	listener, err := net.Listen("tcp", net.JoinHostPort(Host, "0"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = listener.Close() })
	go func() {
		for n := 0; ; n++ {
			near, err := listener.Accept()
			if err != nil {
				return
			}
			go join(near, servers[n%len(servers)])
		}
	}()
	return listener.Addr().String()
}

func join(near net.Conn, server string) {
	defer near.Close()
	far, err := net.Dial("tcp", server)
	if err != nil {
		return
	}
	defer far.Close()
	go func() {
		defer near.Close()
		_, _ = io.Copy(near, far)
	}()
	_, _ = io.Copy(far, near)
}

// REST is a client with a token of the identity provider.
func (s *SSO) REST(token string) *REST { return NewBearer(s.APIURL, token) }

// Bare is a management client whose calls go to each replica in turn.
func (s *SSO) Bare(t testing.TB, hostname string) *Bare {
	t.Helper()
	static := manual.NewBuilderWithScheme("inturn")
	static.InitialState(resolver.State{Addresses: []resolver.Address{
		{Addr: s.Management[0].Listen}, {Addr: s.Management[1].Listen}}})
	conn, err := grpc.NewClient("inturn:///management", grpc.WithResolvers(static), grpc.WithNoProxy(),
		grpc.WithTransportCredentials(insecure.NewCredentials()), grpc.WithDefaultServiceConfig(`{"loadBalancingConfig":[{"round_robin":{}}]}`))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.Close() })
	return &Bare{Key: NewKey(t), Conn: conn, RPC: proto.NewManagementServiceClient(conn), Meta: Meta(hostname)}
}

// Admit signs somebody in for the first time, and lets them in. Their user goes with the test.
func (s *SSO) Admit(t testing.TB, subject string) {
	t.Helper()
	a := s.REST(s.Issuer.Token(t, subject, nil)).Do(t, "GET", "/api/users/current", nil)
	if err := a.Error(403, "user is pending approval"); err != nil && a.Status != 200 {
		t.Fatalf("the first login of %s: %v", subject, err)
	}
	owner := s.Cluster.REST()
	t.Cleanup(func() { _, _ = owner.Try(context.Background(), "DELETE", "/api/users/"+subject, nil) })
	if a.Status != 200 {
		owner.Want(t, 200, "POST", "/api/users/"+subject+"/approve", nil, nil)
	}
}
