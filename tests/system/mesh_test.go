package system

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"rookery.test/system/harness"
)

const fiftyMB = 50 << 20

// pair brings two agents up, waits for the wanted path, and moves 50 MB each way, by address and by name.
func pair(t *testing.T, s *harness.Space, first, second string, way harness.Path) (*harness.Agent, *harness.Agent) {
	t.Helper()
	a := harness.StartAgent(t, "alpha", s.Key, first)
	b := harness.StartAgent(t, "beta", s.Key, second)
	harness.Mesh(t, a, b, way)
	a.Echo(t)
	b.Echo(t)
	a.Transfer(t, b, b.IP(t), fiftyMB)
	b.Transfer(t, a, a.FQDN(t), fiftyMB)
	if t.Failed() {
		return a, b
	}
	harness.Mesh(t, a, b, way)
	return a, b
}

func TestMeshDirect(t *testing.T) {
	c := cluster(t)
	s := c.Space(t)
	pair(t, s, c.ManagementURL, c.ManagementURL, harness.Direct)
}

func TestMeshRelayed(t *testing.T) {
	c := cluster(t)
	if !harness.InChild(t, c, "NB_FORCE_RELAY=true") {
		return
	}
	s := c.Space(t)
	pair(t, s, c.ManagementURL, c.ManagementURL, harness.Relayed)
}

func TestMeshTLS(t *testing.T) {
	c := cluster(t)
	if c.CAFile == "" {
		t.Skip("this server has no certificate")
	}
	if !harness.InChild(t, c, "SSL_CERT_FILE="+c.CAFile) {
		return
	}
	s := c.Space(t)
	secure := strings.Replace(c.ManagementURL, "http://", "https://", 1)
	pair(t, s, secure, secure, harness.Direct)
}

// Relay and signal over TLS as well: a management replica that hands out those URLs.
func TestMeshTLSRelayed(t *testing.T) {
	c := cluster(t)
	needsProcesses(t, c)
	if !harness.InChild(t, c, "SSL_CERT_FILE="+c.CAFile, "NB_FORCE_RELAY=true") {
		return
	}
	front := harness.Endpoint(t, c.FrontURL)
	m := c.Sibling(t, "management-1", map[string]string{"signal_url": "https://" + front, "relay_urls": "rels://" + front})
	s := c.Space(t)
	pair(t, s, "http://"+m.Listen, "http://"+m.Listen, harness.Relayed)
}

// replicas starts a management replica for each agent, which knows one signal and one relay replica alone.
func replicas(t *testing.T, c *harness.Cluster) [2]string {
	t.Helper()
	var urls [2]string
	for i := range urls {
		m := c.Sibling(t, fmt.Sprintf("management-%d", i+1), map[string]string{
			"signal_url": "http://" + c.Proc(t, fmt.Sprintf("signal-%d", i+1)).Listen,
			"relay_urls": c.RelayURLs[i],
		})
		urls[i] = "http://" + m.Listen
	}
	return urls
}

func TestMeshDirectAcrossReplicas(t *testing.T) {
	c := cluster(t)
	needsProcesses(t, c)
	s := c.Space(t)
	urls := replicas(t, c)
	pair(t, s, urls[0], urls[1], harness.Direct)
}

func TestMeshRelayedAcrossReplicas(t *testing.T) {
	c := cluster(t)
	needsProcesses(t, c)
	if !harness.InChild(t, c, "NB_FORCE_RELAY=true") {
		return
	}
	s := c.Space(t)
	urls := replicas(t, c)
	a, b := pair(t, s, urls[0], urls[1], harness.Relayed)
	// Both use the home relay of the one with the greater key; for the other that is a foreign relay.
	want := c.RelayURLs[0]
	if b.PublicKey(t) > a.PublicKey(t) {
		want = c.RelayURLs[1]
	}
	if got := a.RelayOf(t, b); got != want {
		t.Errorf("alpha reaches beta through %s instead of %s", got, want)
	}
	if got := b.RelayOf(t, a); got != want {
		t.Errorf("beta reaches alpha through %s instead of %s", got, want)
	}
}

func TestRestartedAgentKeepsAddressAndName(t *testing.T) {
	c := cluster(t)
	s := c.Space(t)
	a := harness.StartAgent(t, "steady", s.Key, c.ManagementURL)
	ip, name := a.IP(t), a.FQDN(t)
	b := a.Again(t)
	if b.IP(t) != ip || b.FQDN(t) != name {
		t.Errorf("%s %s became %s %s", ip, name, b.IP(t), b.FQDN(t))
	}
	if n := len(s.Members(t)); n != 1 {
		t.Errorf("the group has %d peers after a restart", n)
	}
}

func TestDeletedPeerIsTold(t *testing.T) {
	c := cluster(t)
	s := c.Space(t)
	a := harness.StartAgent(t, "stays", s.Key, c.ManagementURL)
	b := harness.StartAgent(t, "goes", s.Key, c.ManagementURL)
	harness.Mesh(t, a, b, harness.AnyPath)
	gone := b.PublicKey(t)
	if err := s.Peers.Delete(t.Context(), s.PeerID(t, "goes")); err != nil {
		t.Fatal(err)
	}
	harness.Eventually(t, time.Second, "gone from the other's map", func() error {
		for _, p := range a.Map().GetRemotePeers() {
			if p.GetWgPubKey() == gone {
				return fmt.Errorf("still among %d peers", len(a.Map().GetRemotePeers()))
			}
		}
		return nil
	})
	harness.Eventually(t, 5*time.Second, "the deleted agent knows", func() error {
		st, err := b.Status()
		if err != nil {
			return err
		}
		if st.ManagementState.Error == nil {
			return fmt.Errorf("management: connected %v, no error", st.ManagementState.Connected)
		}
		return nil
	})
}
