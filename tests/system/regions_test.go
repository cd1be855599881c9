package system

import (
	"context"
	"fmt"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/netbirdio/netbird/shared/management/proto"
	"google.golang.org/grpc/metadata"
	"rookery.test/system/harness"
)

// registered are those of a list that have registered; the cluster's own relays and STUN servers are configured.
func registered(urls []string) []string {
	return slices.DeleteFunc(urls, func(u string) bool { return !strings.Contains(u, ".test:") })
}

func stunURLs(config *proto.NetbirdConfig) []string {
	var urls []string
	for _, s := range config.GetStuns() {
		urls = append(urls, s.GetUri())
	}
	return urls
}

// Relays and a STUN server of two regions register by themselves. What an agent is told follows where it is, and follows a
// drain, a death and a farewell within seconds, over the stream that it has.
func TestRegions(t *testing.T) {
	t.Parallel()
	c := own(t)
	const berlin, york = "192.0.2.7", "198.51.100.9"
	file := filepath.Join(t.TempDir(), "city.mmdb")
	harness.WriteCities(t, file, 1,
		harness.Place{Prefix: "192.0.2.0/24", Code: "DE", Country: "Germany", City: "Berlin", Latitude: 52.52, Longitude: 13.4},
		harness.Place{Prefix: "198.51.100.0/24", Code: "US", Country: "United States", City: "New York", Latitude: 40.71, Longitude: -74})
	m := c.Sibling(t, "management-1", map[string]string{"geo_database": file, "trusted_proxies": "127.0.0.0/8"})
	const inEU, inUS, stunEU = "rel://eu.test:80", "rel://us.test:80", "stun:eu.test:3478"
	// Through the proxy, as from another region.
	place := func(region, at, url string) map[string]string {
		return map[string]string{"management_url": c.FrontURL, "region": region, "region_at": at, "exposed_url": url,
			"relay_secret_file": c.Secret("relay_secret")}
	}
	eu := c.Sibling(t, "relay-1", place("eu", "50.11,8.68", inEU))
	us := c.Sibling(t, "relay-1", place("us", "39.04,-77.49", inUS))
	c.Sibling(t, "stun-1", place("eu", "50.11,8.68", stunEU))
	const slow = 60 * time.Second // of a machine that does much else; the log has what it took
	counts(t, m.Admin, `rookery_management_edges{state="fit"}`, 3, slow)
	counts(t, m.Admin, `rookery_management_relays{state="fit"}`, 2, slow)
	counts(t, eu.Admin, "rookery_edge_registered", 1, slow)

	s := c.Space(t)
	join := func(name, ip string, want ...string) *harness.Stream {
		t.Helper()
		b := harness.NewBare(t, m.Listen, s.Name+name)
		from := func() context.Context { return metadata.AppendToOutgoingContext(t.Context(), "x-forwarded-for", ip) }
		// Those that registered, before the two that are configured.
		right := func(config *proto.NetbirdConfig) bool {
			urls := config.GetRelay().GetUrls()
			return len(urls) == 4 && slices.Equal(urls[:2], want) && slices.Equal(registered(stunURLs(config)), []string{stunEU})
		}
		harness.Eventually(t, slow, "the lists at the login of "+name, func() error {
			login, err := b.TryLogin(from(), s.Key)
			if err == nil && !right(login.GetNetbirdConfig()) {
				err = fmt.Errorf("%v", login.GetNetbirdConfig())
			}
			return err
		})
		stream, err := b.TrySync(from())
		if err != nil {
			t.Fatal(err)
		}
		stream.Until(t, slow, "the lists on the stream of "+name, func(m *proto.SyncResponse) bool { return right(m.GetNetbirdConfig()) })
		return stream
	}
	inBerlin := join("-berlin", berlin, inEU, inUS)
	inYork := join("-york", york, inUS, inEU)
	told := func(why string, limit time.Duration, berlins, yorks []string) {
		t.Helper()
		began := time.Now()
		for stream, want := range map[*harness.Stream][]string{inBerlin: berlins, inYork: yorks} {
			m, _ := stream.Until(t, limit, why, func(m *proto.SyncResponse) bool {
				return m.GetNetbirdConfig() != nil && slices.Equal(registered(m.GetNetbirdConfig().GetRelay().GetUrls()), want)
			})
			if config := m.GetNetbirdConfig(); m.GetNetworkMap() != nil || len(config.GetRelay().GetTokenSignature()) == 0 || len(stunURLs(config)) == 0 {
				t.Errorf("%s: told %v", why, m)
			}
		}
		t.Logf("%s: both told after %v", why, time.Since(began).Round(10*time.Millisecond))
	}
	drain := func(command string) {
		t.Helper()
		if out, ok := c.Command(t, "dashboard-api-1", nil, command, inEU); !ok {
			t.Fatalf("%s: %s", command, out)
		}
	}
	drain("drain-edge")
	told("drained", slow, []string{inUS}, []string{inUS})
	drain("undrain-edge")
	told("back on the lists", slow, []string{inEU, inUS}, []string{inUS, inEU})
	if err := syscall.Kill(eu.PID, syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
	told("killed", slow, []string{inUS}, []string{inUS})
	if out, ok := c.Command(t, "dashboard-api-1", nil, "edges"); !ok || !strings.Contains(out, inEU+"  eu  0 of 100000  lost") ||
		!strings.Contains(out, inUS+"  us") {
		t.Errorf("edges: %s", out)
	}
	eu.Twin(t, nil)
	told("started again", slow, []string{inEU, inUS}, []string{inUS, inEU})
	us.Terminate(t)
	told("stopped", slow, []string{inEU}, []string{inEU})
	if code := us.Exited(t, slow); code != 0 {
		t.Errorf("the relay ended with %d", code)
	}
}
