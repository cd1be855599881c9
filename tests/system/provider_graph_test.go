package system

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/base64"
	"encoding/pem"
	"fmt"
	"math/big"
	"net"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"testing"
	"time"

	"rookery.test/system/harness"
)

// standIn serves these hosts on loopback over TLS, and returns a file with the certificate to believe.
func standIn(t *testing.T, handler http.Handler, hosts ...string) string {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: hosts[0]}, NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
		DNSNames: hosts, IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageDigitalSignature | x509.KeyUsageCertSign,
		ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth}}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	if err != nil {
		t.Fatal(err)
	}
	l, err := net.Listen("tcp", "127.0.0.1:443")
	if err != nil {
		t.Fatal(err)
	}
	server := &http.Server{Handler: handler, TLSConfig: &tls.Config{Certificates: []tls.Certificate{{Certificate: [][]byte{der}, PrivateKey: key}}}}
	go func() { _ = server.ServeTLS(l, "", "") }()
	t.Cleanup(func() { _ = server.Close() })
	file := filepath.Join(t.TempDir(), "ca.pem")
	if err := os.WriteFile(file, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}), 0o644); err != nil {
		t.Fatal(err)
	}
	return file
}

// The kind microsoft: no ID token is looked at, Microsoft Graph says who it is.
func TestMicrosoftIsAskedThroughGraph(t *testing.T) {
	c := cluster(t)
	needsProcesses(t, c)
	challenge, uri := "", ""
	ca := standIn(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		hash := sha256.Sum256([]byte(r.PostFormValue("code_verifier")))
		switch r.Host + r.URL.Path {
		case "login.microsoftonline.com/common/oauth2/v2.0/token":
			if r.PostFormValue("client_id") != "ms" || r.PostFormValue("client_secret") != "s" || r.PostFormValue("code") != "the code" ||
				r.PostFormValue("redirect_uri") != uri || base64.RawURLEncoding.EncodeToString(hash[:]) != challenge {
				http.Error(w, `{"error":"invalid_grant"}`, http.StatusBadRequest)
				return
			}
			fmt.Fprint(w, `{"access_token":"for-graph","token_type":"Bearer","id_token":"not.looked.at"}`)
		case "graph.microsoft.com/v1.0/me":
			if r.Header.Get("Authorization") != "Bearer for-graph" {
				http.Error(w, "{}", http.StatusUnauthorized)
				return
			}
			fmt.Fprint(w, `{"id":"m1","displayName":"Ada","userPrincipalName":"ada@people.test","mail":null}`)
		default:
			http.NotFound(w, r)
		}
	}), "login.microsoftonline.com", "graph.microsoft.com")
	hosts := filepath.Join(t.TempDir(), "hosts")
	if err := os.WriteFile(hosts, []byte("127.0.0.1 localhost login.microsoftonline.com graph.microsoft.com\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	api := c.DashboardAPI(t, 2, map[string]string{"oidc_ca_file": ca},
		"unshare", "--mount", "sh", "-c", `mount --bind "$0" /etc/hosts && exec "$@"`, hosts)
	var p provider
	api.Want(t, 200, "POST", "/api/identity-providers", object{"type": "microsoft", "name": "m", "client_id": "ms", "client_secret": "s"}, &p)
	t.Cleanup(func() { c.SQLAfter(fmt.Sprintf("DELETE FROM connector WHERE id = '%s'", p.ID)) })

	login, walk := harness.NewLogin(api.URL), harness.NewWalk(t)
	there := walk.Get(login.URL(url.Values{"connector_id": {p.ID}}), "https://login.microsoftonline.com/common/oauth2/v2.0/authorize?").URL.Query()
	challenge, uri = there.Get("code_challenge"), there.Get("redirect_uri")
	if there.Get("client_id") != "ms" || there.Get("scope") != "openid profile email User.Read" || uri != api.URL+"/oauth2/callback" {
		t.Errorf("it was asked %v", there)
	}
	back := uri + "?" + url.Values{"code": {"the code"}, "state": {there.Get("state")}}.Encode()
	claims := harness.Claims(t, login.Redeem(t, walk.Get(back, login.Redirect)).ID)
	if claims["sub"] != subject("m1", p.ID) || claims["email"] != "ada@people.test" || claims["name"] != "Ada" {
		t.Errorf("they are %v", claims)
	}
}
