package harness

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"encoding/base64"
	"maps"
	"math/big"
	"testing"

	"github.com/golang-jwt/jwt/v5"
)

// SigningKey signs tokens with one algorithm and, as long as its Issuer publishes it, can be verified.
type SigningKey struct {
	ID      string
	Method  jwt.SigningMethod
	Private crypto.Signer
}

// NewSigningKey makes a key for an algorithm of RFC 7518: RS256, PS384, ES512, EdDSA and so on.
func NewSigningKey(t testing.TB, id, algorithm string) *SigningKey {
	t.Helper()
	curves := map[string]elliptic.Curve{"ES256": elliptic.P256(), "ES384": elliptic.P384(), "ES512": elliptic.P521()}
	var private crypto.Signer
	var err error
	switch {
	case algorithm == "EdDSA":
		_, private, err = ed25519.GenerateKey(rand.Reader)
	case curves[algorithm] != nil:
		private, err = ecdsa.GenerateKey(curves[algorithm], rand.Reader)
	default:
		private, err = rsa.GenerateKey(rand.Reader, 2048)
	}
	if err != nil {
		t.Fatal(err)
	}
	return &SigningKey{id, jwt.GetSigningMethod(algorithm), private}
}

// JWK is the public half.
func (k *SigningKey) JWK() map[string]any {
	b64 := base64.RawURLEncoding.EncodeToString
	out := map[string]any{"kid": k.ID, "use": "sig"}
	switch public := k.Private.Public().(type) {
	case *rsa.PublicKey:
		out["kty"], out["n"], out["e"] = "RSA", b64(public.N.Bytes()), b64(big.NewInt(int64(public.E)).Bytes())
	case *ecdsa.PublicKey:
		width := (public.Curve.Params().BitSize + 7) / 8
		out["kty"], out["crv"] = "EC", public.Curve.Params().Name
		out["x"], out["y"] = b64(public.X.FillBytes(make([]byte, width))), b64(public.Y.FillBytes(make([]byte, width)))
	case ed25519.PublicKey:
		out["kty"], out["crv"], out["x"] = "OKP", "Ed25519", b64(public)
	}
	return out
}

// Sign makes a token. Members of the header are added to alg, typ and kid; nil takes one away.
func (k *SigningKey) Sign(t testing.TB, header, claims map[string]any) string {
	t.Helper()
	token := jwt.NewWithClaims(k.Method, jwt.MapClaims(claims))
	token.Header["kid"] = k.ID
	maps.Copy(token.Header, header)
	maps.DeleteFunc(token.Header, func(_ string, v any) bool { return v == nil })
	text, err := token.SignedString(k.Private)
	if err != nil {
		t.Fatal(err)
	}
	return text
}
