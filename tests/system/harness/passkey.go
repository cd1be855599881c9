package harness

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"encoding/binary"
	"encoding/json"
	"html"
	"net/url"
	"regexp"
	"testing"
)

// Passkey is an authenticator and the browser it is plugged into: one key of ES256, and somebody who touches it.
type Passkey struct {
	key   *ecdsa.PrivateKey
	id    []byte
	count uint32
}

func NewPasskey(t testing.TB) *Passkey {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	return &Passkey{key: key, id: []byte(randomText())}
}

var passkeyOptions = regexp.MustCompile(`data-options="([^"]*)"`)

// ask is what the page wants to be signed by a key of which host; "" when it wants nothing.
func (k *Passkey) ask(page *Stop) (challenge, rp string) {
	var options struct{ Challenge, RP string }
	if found := passkeyOptions.FindStringSubmatch(page.Body); found != nil {
		_ = json.Unmarshal([]byte(html.UnescapeString(found[1])), &options)
	}
	return options.Challenge, options.RP
}

func (k *Passkey) clientData(kind, challenge string, page *Stop) []byte {
	text, _ := json.Marshal(map[string]any{"type": "webauthn." + kind, "challenge": challenge,
		"origin": page.URL.Scheme + "://" + page.URL.Host, "crossOrigin": false})
	return text
}

const userPresentAndVerified = 5

func (k *Passkey) head(rp string, flags byte) []byte {
	hash := sha256.Sum256([]byte(rp))
	return binary.BigEndian.AppendUint32(append(hash[:], flags|userPresentAndVerified), k.count)
}

// Made is what the page's form is to hold once it was made there.
func (k *Passkey) Made(page *Stop) url.Values {
	challenge, rp := k.ask(page)
	data := append(k.head(rp, 0x40), make([]byte, 16)...)
	data = append(append(data, 0, byte(len(k.id))), k.id...)
	// A key as COSE has it: of two coordinates (kty 2), for ES256 (-7), on P-256.
	data = append(append(data, 0xa5, 1, 2, 3, 0x26, 0x20, 1, 0x21, 0x58, 32), k.key.X.FillBytes(make([]byte, 32))...)
	data = append(append(data, 0x22, 0x58, 32), k.key.Y.FillBytes(make([]byte, 32))...)
	return url.Values{"client_data": {b64(k.clientData("create", challenge, page))}, "authenticator_data": {b64(data)}}
}

// Signed is what the page's form is to hold once it has signed.
func (k *Passkey) Signed(t testing.TB, page *Stop) url.Values {
	t.Helper()
	k.count++
	challenge, rp := k.ask(page)
	client, data := k.clientData("get", challenge, page), k.head(rp, 0)
	hash := sha256.Sum256(client)
	digest := sha256.Sum256(append(append([]byte{}, data...), hash[:]...))
	signature, err := ecdsa.SignASN1(rand.Reader, k.key, digest[:])
	if err != nil {
		t.Fatal(err)
	}
	return url.Values{"credential": {b64(k.id)}, "client_data": {b64(client)}, "authenticator_data": {b64(data)}, "signature": {b64(signature)}}
}
