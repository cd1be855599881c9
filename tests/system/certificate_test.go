package system

import (
	"crypto/tls"
	"fmt"
	"net/url"
	"os"
	"path/filepath"
	"testing"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials"
	"rookery.test/system/harness"
)

// `rookery up` with a certificate of the operator's, which a second `up` replaces while a real agent and a stream go on.
func TestUpWithACertificate(t *testing.T) {
	t.Parallel()
	authority, dir := cluster(t), t.TempDir()
	root, err := os.ReadFile(authority.CAFile)
	if err != nil {
		t.Fatal(err)
	}
	cert, key := filepath.Join(dir, "fullchain.pem"), filepath.Join(dir, "privkey.pem")
	renew := func(serial int64) {
		pair := authority.NewPair(t, serial)
		harness.ReplaceFile(t, key, pair.Key)
		harness.ReplaceFile(t, cert, append(pair.Certificate, root...))
	}
	renew(1)
	c, err := harness.UpWith(2, nil, "--cert", cert, "--key", key)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(c.Down)
	c.DumpOnFailure(t)
	presented := func(serial int64) {
		t.Helper()
		for _, u := range append([]string{c.ManagementURL}, c.RelayURLs...) {
			at, err := url.Parse(u)
			if err != nil {
				t.Fatal(err)
			}
			harness.Eventually(t, 20*time.Second, fmt.Sprintf("%s has certificate %d", u, serial), func() error {
				conn, err := tls.Dial("tcp", at.Host, c.TLS())
				if err != nil {
					return err
				}
				defer conn.Close()
				if got := conn.ConnectionState().PeerCertificates[0].SerialNumber.Int64(); got != serial {
					return fmt.Errorf("%d", got)
				}
				return nil
			})
		}
	}
	presented(1)
	host := harness.NewHost(t, "alpha", "", "SSL_CERT_FILE="+authority.CAFile)
	host.UpAt(t, c.ManagementURL, c.SetupKey)

	s := c.Space(t)
	b := harness.NewBare(t, front(t, c), s.Name, grpc.WithTransportCredentials(credentials.NewTLS(c.TLS())))
	b.Login(t, s.Key)
	stream := b.Sync(t)
	stream.Next(t, harness.CallLimit)

	haproxy := c.Proc(t, "haproxy").PID
	renew(2)
	c.Restart(t)
	presented(2)
	if now := c.Proc(t, "haproxy").PID; now != haproxy {
		t.Errorf("haproxy was started anew: %d, then %d", haproxy, now)
	}
	other := harness.NewBare(t, front(t, c), s.Name+"-other", grpc.WithTransportCredentials(credentials.NewTLS(c.TLS())))
	other.Login(t, s.Key)
	if m := stream.Next(t, harness.CallLimit).GetNetworkMap(); len(m.GetRemotePeers()) != 1 {
		t.Errorf("the stream says next: %v", m)
	}
	if status := host.Status(t); !status.Management.Connected || !status.Signal.Connected {
		t.Errorf("the agent has lost management or signal: %+v", status)
	}
}
