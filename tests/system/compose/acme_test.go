package compose

import (
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"rookery.test/system/harness"
)

// acme is Pebble, an authority that gives certificates to whoever answers at a name, and certbot, as docs/install.md has it.
type acme struct {
	root      string // file with the certificate that its own end at
	directory string
	dir       string
	trusted   string // file with the certificate of the server itself
}

const (
	acmeAddress = "127.0.0.1:14000"
	acmeAdmin   = "127.0.0.1:15000"
	acmeNames   = "127.0.0.1:14053"
)

func startACME(t *testing.T, s *stack) *acme {
	t.Helper()
	a := &acme{dir: filepath.Join(s.dir, "acme"), directory: "https://" + acmeAddress + "/dir"}
	if err := os.Mkdir(a.dir, 0o700); err != nil {
		t.Fatal(err)
	}
	a.root, a.trusted = filepath.Join(a.dir, "root.pem"), filepath.Join(a.dir, "server.pem")
	pool := harness.WriteCertificate(t, a.trusted, filepath.Join(a.dir, "server.key"), 1)
	settings, err := json.Marshal(map[string]any{"pebble": map[string]any{"listenAddress": acmeAddress, "managementListenAddress": acmeAdmin,
		"certificate": a.trusted, "privateKey": filepath.Join(a.dir, "server.key"), "httpPort": 80, "tlsPort": 443}})
	if err == nil {
		err = os.WriteFile(filepath.Join(a.dir, "pebble.json"), settings, 0o600)
	}
	if err != nil {
		t.Fatal(err)
	}
	harness.ServeNames(t, acmeNames, addresses)
	cmd := exec.Command("pebble", "-config", filepath.Join(a.dir, "pebble.json"), "-dnsserver", acmeNames)
	cmd.Env = append(os.Environ(), "PEBBLE_VA_NOSLEEP=1", "PEBBLE_WFE_NONCEREJECT=0")
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = cmd.Process.Kill()
		_ = cmd.Wait()
	})
	client := &http.Client{Timeout: 3 * time.Second, Transport: &http.Transport{TLSClientConfig: &tls.Config{RootCAs: pool}}}
	harness.Eventually(t, 20*time.Second, "the ACME server has a root", func() error {
		answer, err := client.Get("https://" + acmeAdmin + "/roots/0")
		if err != nil {
			return err
		}
		defer answer.Body.Close()
		text, err := io.ReadAll(answer.Body)
		if err == nil && answer.StatusCode != http.StatusOK {
			err = fmt.Errorf("status %d", answer.StatusCode)
		}
		if err != nil {
			return err
		}
		return os.WriteFile(a.root, text, 0o644)
	})
	return a
}

// certbot runs it with directories of its own.
func (a *acme) certbot(t *testing.T, args ...string) {
	t.Helper()
	cmd := exec.Command("certbot", append(args, "--non-interactive", "--server", a.directory, "--config-dir", filepath.Join(a.dir, "config"),
		"--work-dir", filepath.Join(a.dir, "work"), "--logs-dir", filepath.Join(a.dir, "logs"))...)
	cmd.Env = append(os.Environ(), "REQUESTS_CA_BUNDLE="+a.trusted, "ROOKERY_VERSION=latest")
	cmd.WaitDelay = time.Second
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("certbot %s: %v\n%s", args[0], err, out)
	}
}

// presented is the serial number of the certificate that each name is answered with, which is the authority's.
func (a *acme) presented() (string, error) {
	pool := x509.NewCertPool()
	text, err := os.ReadFile(a.root)
	if err != nil {
		return "", err
	}
	pool.AppendCertsFromPEM(text)
	serial := ""
	for name := range addresses {
		c, err := tls.DialWithDialer(&net.Dialer{Timeout: 3 * time.Second}, "tcp", net.JoinHostPort(harness.Host, "443"),
			&tls.Config{RootCAs: pool, ServerName: strings.TrimSuffix(name, ".")})
		if err != nil {
			return "", fmt.Errorf("%s: %w", name, err)
		}
		serial = c.ConnectionState().PeerCertificates[0].SerialNumber.String()
		_ = c.Close()
	}
	return serial, nil
}

// certify has a certificate by the steps of docs/install.md, and another when certbot renews; haproxy takes both without ending a stream.
func (a *acme) certify(t *testing.T, s *stack, n *tunnels) {
	t.Helper()
	live := filepath.Join(a.dir, "config", "live", domain)
	s.set(t, map[string]string{"TLS_CERT": filepath.Join(live, "fullchain.pem"), "TLS_KEY": filepath.Join(live, "privkey.pem")})
	before := ""
	for _, step := range [][]string{
		{"certonly", "--standalone", "--agree-tos", "--register-unsafely-without-email", "--domain", domain, "--domain", "relay-1." + domain,
			"--domain", "relay-2." + domain, "--deploy-hook", filepath.Join(os.Getenv(envTree), "rookery") + " compose up --env " + s.env()},
		{"renew", "--force-renewal", "--no-random-sleep-on-renew"},
	} {
		n.begin()
		a.certbot(t, step...)
		serial := ""
		harness.Eventually(t, 30*time.Second, "another certificate is there", func() (err error) {
			if serial, err = a.presented(); err == nil && serial == before {
				err = fmt.Errorf("it is the one of before")
			}
			return err
		})
		before = serial
		n.online(t)
		n.goes(t)
		n.judge(t, "certbot "+step[0], directLimit)
	}
}
