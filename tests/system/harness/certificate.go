package harness

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"io"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"testing"
	"time"
)

// Pair is a certificate for Host and its key, in PEM.
type Pair struct {
	Certificate, Key []byte
}

// WriteCertificate puts a new self-signed certificate for Host and its key into the two files, as an administrator would:
// each file is replaced by a rename. The returned pool trusts it alone.
func WriteCertificate(t testing.TB, certFile, keyFile string, serial int64) *x509.CertPool {
	t.Helper()
	return writeCertificate(t, certFile, keyFile, serial, time.Now().Add(time.Hour))
}

func writeCertificate(t testing.TB, certFile, keyFile string, serial int64, until time.Time) *x509.CertPool {
	t.Helper()
	pair := newPair(t, serial, until, nil)
	ReplaceFile(t, keyFile, pair.Key)
	ReplaceFile(t, certFile, pair.Certificate)
	pool := x509.NewCertPool()
	pool.AppendCertsFromPEM(pair.Certificate)
	return pool
}

// newPair is signed by the authority, or by itself.
func newPair(t testing.TB, serial int64, until time.Time, authority *tls.Certificate) Pair {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{SerialNumber: big.NewInt(serial), Subject: pkix.Name{CommonName: "relay test"},
		NotBefore: time.Now().Add(-240 * time.Hour), NotAfter: until,
		IPAddresses: []net.IP{net.ParseIP(Host), net.ParseIP("127.0.0.1")}}
	by, with := template, any(key)
	if authority != nil {
		by, with = authority.Leaf, authority.PrivateKey
	}
	der, err := x509.CreateCertificate(rand.Reader, template, by, &key.PublicKey, with)
	if err != nil {
		t.Fatal(err)
	}
	secret, err := x509.MarshalECPrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	return Pair{pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}),
		pem.EncodeToMemory(&pem.Block{Type: "EC PRIVATE KEY", Bytes: secret})}
}

// ReplaceFile puts another file in a file's place.
func ReplaceFile(t testing.TB, file string, text []byte) {
	t.Helper()
	if err := os.WriteFile(file+".new", text, 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Rename(file+".new", file); err != nil {
		t.Fatal(err)
	}
}

// believing believes the certificates of that file, and none if it cannot be read.
func believing(file string) *tls.Config {
	text, _ := os.ReadFile(file)
	roots := x509.NewCertPool()
	roots.AppendCertsFromPEM(text)
	return &tls.Config{RootCAs: roots}
}

// TLSServer is a server that has a certificate, and nothing to say.
type TLSServer struct {
	URL, CAFile string
}

// ExpiredServer is one whose certificate has been valid until two days ago.
func ExpiredServer(t testing.TB) TLSServer {
	t.Helper()
	dir := t.TempDir()
	certFile, keyFile := filepath.Join(dir, "cert.pem"), filepath.Join(dir, "key.pem")
	writeCertificate(t, certFile, keyFile, 1, time.Now().Add(-49*time.Hour))
	pair, err := tls.LoadX509KeyPair(certFile, keyFile)
	if err != nil {
		t.Fatal(err)
	}
	l, err := tls.Listen("tcp", "127.0.0.1:0", &tls.Config{Certificates: []tls.Certificate{pair}, NextProtos: []string{"h2"}})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = l.Close() })
	go func() {
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			go func() { _, _ = io.Copy(io.Discard, conn); _ = conn.Close() }()
		}
	}()
	return TLSServer{URL: "https://" + l.Addr().String(), CAFile: certFile}
}
