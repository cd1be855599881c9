package harness

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/netbirdio/netbird/shared/management/client/rest"
)

// REST speaks to the REST API, through NetBird's own client and raw.
type REST struct {
	*rest.Client
	URL    string
	Token  string
	Bearer bool // the token is an identity provider's
	http   *http.Client
}

// Answer is a raw answer of the REST API.
type Answer struct {
	Status int
	Header http.Header
	Body   []byte
}

// NewREST authenticates with a personal access token; an empty one sends no credentials.
func NewREST(url, token string) *REST {
	client := &http.Client{Timeout: 20 * time.Second, Transport: &http.Transport{Proxy: nil, MaxIdleConnsPerHost: 32}}
	return &REST{URL: url, Token: token, http: client, Client: rest.NewWithOptions(
		rest.WithManagementURL(url), rest.WithPAT(token), rest.WithHttpClient(client))}
}

// NewBearer authenticates with a token of an identity provider.
func NewBearer(url, token string) *REST {
	r := NewREST(url, token)
	r.Bearer = true
	r.Client = rest.NewWithOptions(rest.WithManagementURL(url), rest.WithBearerToken(token), rest.WithHttpClient(r.http))
	return r
}

// REST is a client with the owner's token, through the front.
func (c *Cluster) REST() *REST {
	if c.Bearer {
		return NewBearer(c.APIURL, c.Token)
	}
	r := NewREST(c.APIURL, c.Token)
	if strings.HasPrefix(c.APIURL, "https:") {
		r.http.Transport.(*http.Transport).TLSClientConfig = believing(c.CAFile)
	}
	return r
}

// Try sends a request; a body that is not a string or bytes is sent as JSON. Headers are given as "Name: value".
func (r *REST) Try(ctx context.Context, method, path string, body any, headers ...string) (*Answer, error) {
	var reader io.Reader
	switch b := body.(type) {
	case nil:
	case string:
		reader = strings.NewReader(b)
	case []byte:
		reader = bytes.NewReader(b)
	default:
		text, err := json.Marshal(b)
		if err != nil {
			return nil, err
		}
		reader = bytes.NewReader(text)
	}
	req, err := http.NewRequestWithContext(ctx, method, r.URL+path, reader)
	if err != nil {
		return nil, err
	}
	if r.Token != "" {
		scheme := "Token "
		if r.Bearer {
			scheme = "Bearer "
		}
		req.Header.Set("Authorization", scheme+r.Token)
	}
	if reader != nil {
		req.Header.Set("Content-Type", "application/json")
	}
	for _, h := range headers {
		name, value, _ := strings.Cut(h, ": ")
		req.Header.Set(name, value)
	}
	resp, err := r.http.Do(req)
	if err != nil {
		return nil, err
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(resp.Body)
	if err != nil {
		return nil, err
	}
	return &Answer{resp.StatusCode, resp.Header, text}, nil
}

var elsewhere atomic.Uint32

// FromElsewhere is a header by which a request comes from an address of its own, where proxies on this machine are believed.
func FromElsewhere() string {
	n := elsewhere.Add(1)
	return fmt.Sprintf("X-Forwarded-For: 10.200.%d.%d", n>>8&255, n&255)
}

// Do is Try that fails the test when no answer comes.
func (r *REST) Do(t testing.TB, method, path string, body any, headers ...string) *Answer {
	t.Helper()
	a, err := r.Try(t.Context(), method, path, body, headers...)
	if err != nil {
		t.Fatalf("%s %s: %v", method, path, err)
	}
	return a
}

// Want sends a request that has to be answered with that status, and decodes the JSON into out unless it is nil.
func (r *REST) Want(t testing.TB, status int, method, path string, body, out any) *Answer {
	t.Helper()
	a := r.Do(t, method, path, body)
	if a.Status != status {
		t.Fatalf("%s %s: status %d instead of %d: %s", method, path, a.Status, status, a.Body)
	}
	if out != nil {
		a.JSON(t, out)
	}
	return a
}

// WantError sends a request that has to be refused with that status and message.
func (r *REST) WantError(t testing.TB, status int, message, method, path string, body any) {
	t.Helper()
	a := r.Do(t, method, path, body)
	if err := a.Error(status, message); err != nil {
		t.Errorf("%s %s %v: %v", method, path, body, err)
	}
}

// Error tells how an answer differs from the error that was expected.
func (a *Answer) Error(status int, message string) error {
	var got struct {
		Message *string
		Code    *int
	}
	if err := json.Unmarshal(a.Body, &got); err != nil {
		return fmt.Errorf("status %d with %q instead of an error object", a.Status, a.Body)
	}
	if got.Message == nil || got.Code == nil {
		return fmt.Errorf("status %d, message or code missing: %s", a.Status, a.Body)
	}
	if a.Status != status || *got.Code != status || *got.Message != message {
		return fmt.Errorf("status %d with %s instead of %d %q", a.Status, bytes.TrimSpace(a.Body), status, message)
	}
	return nil
}

// JSON decodes the body.
func (a *Answer) JSON(t testing.TB, out any) {
	t.Helper()
	if err := json.Unmarshal(a.Body, out); err != nil {
		t.Fatalf("%v in %s", err, a.Body)
	}
}
