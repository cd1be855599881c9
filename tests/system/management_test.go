package system

import (
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"fmt"
	"io"
	"net/netip"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/netbirdio/netbird/shared/management/http/api"
	"github.com/netbirdio/netbird/shared/management/proto"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"rookery.test/system/harness"
)

// The numbers are those of the acceptance cases of the management protocol.

func TestManagement01ServerKey(t *testing.T) {
	c := cluster(t)
	for _, at := range managements(t, c) {
		b := harness.NewBare(t, at, "x")
		first, err := b.ServerKey(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		other, err := harness.NewBare(t, front(t, c), "x").ServerKey(t.Context())
		if err != nil || first != other {
			t.Errorf("replicas have different keys: %v %v %v", first, other, err)
		}
	}
}

func TestManagement02IsHealthy(t *testing.T) {
	b := harness.NewBare(t, front(t, cluster(t)), "x")
	if _, err := b.RPC.IsHealthy(t.Context(), &proto.Empty{}); err != nil {
		t.Errorf("isHealthy: %v", err)
	}
	err := b.Conn.Invoke(t.Context(), "/management.ManagementService/IsHealthy", &proto.Empty{}, &proto.Empty{})
	harness.WantStatus(t, err, codes.Unimplemented, "")
}

func TestManagement03WrongServerKey(t *testing.T) {
	b := harness.NewBare(t, front(t, cluster(t)), "x")
	sealed, err := b.Seal(harness.NewKey(t).PublicKey(), &proto.LoginRequest{Meta: b.Meta})
	if err != nil {
		t.Fatal(err)
	}
	for _, body := range [][]byte{sealed.Body, sealed.Body[:23], {}, nil} {
		_, err = b.RPC.Login(t.Context(), &proto.EncryptedMessage{WgPubKey: b.PublicKey(), Body: body})
		harness.WantStatus(t, err, codes.InvalidArgument, "invalid request message")
	}
}

func TestManagement04BadPublicKey(t *testing.T) {
	b := harness.NewBare(t, front(t, cluster(t)), "x")
	_, err := b.RPC.Login(t.Context(), &proto.EncryptedMessage{WgPubKey: "abc", Body: make([]byte, 60)})
	harness.WantStatus(t, err, codes.InvalidArgument, "provided wgPubKey abc is invalid")
}

func TestManagement05UnknownWithoutCredentials(t *testing.T) {
	b := harness.NewBare(t, front(t, cluster(t)), "x")
	const none = "no peer auth method provided, please use a setup key or interactive SSO login"
	_, err := b.TryLogin(t.Context(), "")
	harness.WantStatus(t, err, codes.PermissionDenied, none)
	// The all-zero key, which agents send beside a token, is no key.
	_, err = b.TryLogin(t.Context(), "00000000-0000-0000-0000-000000000000")
	harness.WantStatus(t, err, codes.PermissionDenied, none)
}

func TestManagement06LoginWithoutMeta(t *testing.T) {
	b := harness.NewBare(t, front(t, cluster(t)), "x")
	_, err := b.Send(t.Context(), &proto.LoginRequest{})
	s, _ := status.FromError(err)
	if s.Code() != codes.FailedPrecondition ||
		!strings.HasPrefix(s.Message(), "peer system meta has to be provided to log in. Peer "+b.PublicKey()) {
		t.Errorf("status %d %q", s.Code(), s.Message())
	}
}

func serial(t *testing.T, b *harness.Bare) uint64 {
	t.Helper()
	s := b.Sync(t)
	defer s.Cut()
	return s.Next(t, 5*time.Second).GetNetworkMap().GetSerial()
}

func TestManagement07And08Labels(t *testing.T) {
	c := cluster(t)
	s := c.Lonely(t)
	watcher := harness.NewBare(t, front(t, c), "watcher")
	watcher.Login(t, s.Key)
	before := serial(t, watcher)
	name := fmt.Sprintf("Web_%d", time.Now().UnixNano()%1e9)
	label := strings.ReplaceAll(strings.ToLower(name), "_", "-")

	r := harness.NewBare(t, front(t, c), name+".corp").Login(t, s.Key)
	host, domain, _ := strings.Cut(r.GetPeerConfig().GetFqdn(), ".")
	if host != label || domain == "" {
		t.Errorf("fqdn %q", r.GetPeerConfig().GetFqdn())
	}
	accounts, err := s.Accounts.List(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	network := netip.MustParsePrefix(*accounts[0].Settings.NetworkRange)
	address, err := netip.ParsePrefix(r.GetPeerConfig().GetAddress())
	if err != nil || address.Bits() != 16 || !network.Contains(address.Addr()) {
		t.Errorf("address %q outside %v: %v", r.GetPeerConfig().GetAddress(), network, err)
	}
	key, err := s.SetupKeys.Get(t.Context(), s.KeyID)
	if err != nil || key.UsedTimes != 2 {
		t.Errorf("key used %d times: %v", key.UsedTimes, err)
	}
	if after := serial(t, watcher); after != before+1 {
		t.Errorf("serial went from %d to %d", before, after)
	}

	second := harness.NewBare(t, front(t, c), name+".corp").Login(t, s.Key)
	ip := netip.MustParsePrefix(second.GetPeerConfig().GetAddress()).Addr().As4()
	if want := fmt.Sprintf("%s-%d-%d.%s", label, ip[2], ip[3], domain); second.GetPeerConfig().GetFqdn() != want {
		t.Errorf("second fqdn %q instead of %q", second.GetPeerConfig().GetFqdn(), want)
	}
}

func TestManagement10KnownPeerIgnoresRevokedKey(t *testing.T) {
	c := cluster(t)
	s := c.Lonely(t)
	key := s.NewKey(t, api.CreateSetupKeyRequest{Name: "k", Type: "reusable"})
	b := harness.NewBare(t, front(t, c), "known")
	first := b.Login(t, key.Key)
	if _, err := s.SetupKeys.Update(t.Context(), key.Id,
		api.PutApiSetupKeysKeyIdJSONRequestBody{Revoked: true, AutoGroups: []string{s.Group}}); err != nil {
		t.Fatal(err)
	}
	again := b.Login(t, key.Key)
	if again.GetPeerConfig().GetAddress() != first.GetPeerConfig().GetAddress() {
		t.Errorf("address %s became %s", first.GetPeerConfig().GetAddress(), again.GetPeerConfig().GetAddress())
	}
	if k, err := s.SetupKeys.Get(t.Context(), key.Id); err != nil || k.UsedTimes != 1 {
		t.Errorf("used %d times: %v", k.UsedTimes, err)
	}
}

func TestManagement15NoSessionExpiry(t *testing.T) {
	c := cluster(t)
	r := harness.NewBare(t, front(t, c), "keyed").Login(t, c.Lonely(t).Key)
	if r.SessionExpiresAt == nil || r.SessionExpiresAt.Seconds != 0 || r.SessionExpiresAt.Nanos != 0 {
		t.Errorf("sessionExpiresAt %v instead of present and empty", r.SessionExpiresAt)
	}
}

func TestManagement16LabelsForbidden(t *testing.T) {
	c := cluster(t)
	s := c.Lonely(t)
	b := harness.NewBare(t, front(t, c), "labelled")
	_, err := b.TryLogin(t.Context(), s.Key, "db")
	harness.WantStatus(t, err, codes.FailedPrecondition, "couldn't add peer: setup key doesn't allow extra DNS labels")
	if n := len(s.Members(t)); n != 0 {
		t.Errorf("%d peers were created", n)
	}
	yes := true
	key := s.NewKey(t, api.CreateSetupKeyRequest{Name: "labels", Type: "reusable", AllowExtraDnsLabels: &yes})
	b.Login(t, key.Key, "db")
}

func wantConfig(t *testing.T, config *proto.NetbirdConfig) {
	t.Helper()
	relay := config.GetRelay()
	if config.GetSignal().GetUri() == "" || len(relay.GetUrls()) == 0 || len(config.GetStuns()) == 0 {
		t.Fatalf("config lacks signal, relay or STUN: %v", config)
	}
	until, err := strconv.ParseInt(relay.GetTokenPayload(), 10, 64)
	if err != nil || time.Until(time.Unix(until, 0)) <= 0 {
		t.Errorf("token payload %q", relay.GetTokenPayload())
	}
	if raw, err := base64.StdEncoding.DecodeString(relay.GetTokenSignature()); err != nil || len(raw) != 32 {
		t.Errorf("token signature %q", relay.GetTokenSignature())
	}
}

func TestManagement17LonePeer(t *testing.T) {
	c := cluster(t)
	b := harness.NewBare(t, front(t, c), "lone")
	login := b.Login(t, c.Lonely(t).Key)
	s := b.Sync(t)
	m := s.Next(t, 5*time.Second)
	wantConfig(t, m.GetNetbirdConfig())
	nm := m.GetNetworkMap()
	if !nm.GetRemotePeersIsEmpty() || !nm.GetFirewallRulesIsEmpty() || !nm.GetRoutesFirewallRulesIsEmpty() {
		t.Errorf("flags: %v %v %v", nm.GetRemotePeersIsEmpty(), nm.GetFirewallRulesIsEmpty(), nm.GetRoutesFirewallRulesIsEmpty())
	}
	for _, got := range []*proto.PeerConfig{m.GetPeerConfig(), nm.GetPeerConfig()} {
		want := login.GetPeerConfig()
		if got.GetAddress() != want.GetAddress() || string(got.GetAddressV6()) != string(want.GetAddressV6()) {
			t.Errorf("address %v %x differs from login's %v %x", got.GetAddress(), got.GetAddressV6(), want.GetAddress(), want.GetAddressV6())
		}
		if got.GetSshConfig() == nil || got.GetAutoUpdate().GetVersion() != "disabled" {
			t.Errorf("peer config %v", got)
		}
	}
	if nm.GetDNSConfig() == nil || nm.GetSshAuth() == nil || m.SessionExpiresAt == nil {
		t.Errorf("DNS %v, SSH %v, session %v", nm.GetDNSConfig(), nm.GetSshAuth(), m.SessionExpiresAt)
	}
}

func TestManagement18SecondPeer(t *testing.T) {
	c := cluster(t)
	s := c.Space(t)
	at := managements(t, c)
	first := harness.NewBare(t, at[0], "one")
	first.Login(t, s.Key)
	stream := first.Sync(t)
	initial := stream.Next(t, 5*time.Second)
	second := harness.NewBare(t, at[1], "two")
	ip := netip.MustParsePrefix(second.Login(t, s.Key).GetPeerConfig().GetAddress()).Addr().String()
	m, _ := stream.Until(t, 2*time.Second, "a map with the second peer", func(m *proto.SyncResponse) bool {
		return len(m.GetNetworkMap().GetRemotePeers()) == 1
	})
	nm := m.GetNetworkMap()
	if m.NetbirdConfig != nil || nm.GetSerial() <= initial.GetNetworkMap().GetSerial() {
		t.Errorf("config %v, serial %d after %d", m.NetbirdConfig, nm.GetSerial(), initial.GetNetworkMap().GetSerial())
	}
	p := nm.GetRemotePeers()[0]
	if p.GetWgPubKey() != second.PublicKey() || p.GetAllowedIps()[0] != ip+"/32" || p.GetAgentVersion() != "0.77.1" {
		t.Errorf("remote peer %v", p)
	}
	seen := map[proto.RuleDirection]bool{}
	for _, r := range nm.GetFirewallRules() {
		if r.GetPeerIP() == ip && r.GetProtocol() == proto.RuleProtocol_ALL && r.GetAction() == proto.RuleAction_ACCEPT {
			seen[r.GetDirection()] = true
		}
	}
	if len(seen) != 2 {
		t.Errorf("firewall rules %v", nm.GetFirewallRules())
	}
}

func TestManagement19SourcePrefixes(t *testing.T) {
	c := cluster(t)
	s := c.Space(t)
	other := harness.NewBare(t, front(t, c), "other")
	ip := netip.MustParsePrefix(other.Login(t, s.Key).GetPeerConfig().GetAddress()).Addr()
	for _, capabilities := range [][]proto.PeerCapability{nil, {1}} {
		b := harness.NewBare(t, front(t, c), "receiver")
		b.Meta.Capabilities = capabilities
		b.Login(t, s.Key)
		stream := b.Sync(t)
		found := false
		for _, r := range stream.Next(t, 5*time.Second).GetNetworkMap().GetFirewallRules() {
			if r.GetPeerIP() != ip.String() {
				continue
			}
			found = true
			a := ip.As4()
			want := string(append(a[:], 32))
			if got := r.GetSourcePrefixes(); capabilities == nil && len(got) != 0 ||
				capabilities != nil && (len(got) != 1 || string(got[0]) != want) {
				t.Errorf("capabilities %v: source prefixes %x", capabilities, got)
			}
		}
		if !found {
			t.Errorf("capabilities %v: no rule of %v", capabilities, ip)
		}
		stream.Cut()
	}
}

func TestManagement20BurstOfEdits(t *testing.T) {
	c := cluster(t)
	s := c.Space(t)
	b := harness.NewBare(t, front(t, c), "watcher")
	b.Login(t, s.Key)
	harness.NewBare(t, front(t, c), "other").Login(t, s.Key)
	stream := b.Sync(t)
	stream.Until(t, 5*time.Second, "a map", func(m *proto.SyncResponse) bool { return len(m.GetNetworkMap().GetRemotePeers()) == 1 })
	harness.Eventually(t, 10*time.Second, "quiet", func() error {
		if _, err := stream.TryNext(1200 * time.Millisecond); err == nil {
			return fmt.Errorf("maps still come")
		}
		return nil
	})
	const edits = 50
	start := time.Now()
	for i := range edits {
		s.SetPolicy(t, s.Policy, harness.Rule(s.Group, s.Group, "tcp", true, strconv.Itoa(8000+i)))
	}
	took := time.Since(start)
	last, maps := uint64(0), 0
	// The last edit waits for the end of a pause, never for a sweep.
	_, before := stream.Until(t, 2*time.Second, "the final map", func(m *proto.SyncResponse) bool {
		maps++
		nm := m.GetNetworkMap()
		if nm.GetSerial() < last {
			t.Errorf("serial %d after %d", nm.GetSerial(), last)
		}
		last = nm.GetSerial()
		return len(nm.GetFirewallRules()) > 0 && nm.GetFirewallRules()[0].GetPort() == strconv.Itoa(8000+edits-1)
	})
	// At once, then after pauses that grow from 50 to 400 ms.
	if limit := 5 + int(took/(400*time.Millisecond)) + 1; before+1 > limit {
		t.Errorf("%d maps for %d edits within %v, more than %d", before+1, edits, took, limit)
	}
}

func TestManagement21RelayRefresh(t *testing.T) {
	c := cluster(t)
	needsProcesses(t, c)
	secret := "a secret of this test alone"
	m := c.Sibling(t, "management-1", map[string]string{
		"relay_token_ttl_s": "4", "relay_secret": secret, "relay_secret_file": ""})
	b := harness.NewBare(t, m.Listen, "refreshed")
	b.Login(t, c.Lonely(t).Key)
	stream := b.Sync(t)
	wantConfig(t, stream.Next(t, 5*time.Second).GetNetbirdConfig())
	start := time.Now()
	r := stream.Next(t, 6*time.Second)
	if after := time.Since(start); after < 2*time.Second || after > 5*time.Second {
		t.Errorf("refreshed after %v instead of 3 s", after)
	}
	if r.NetworkMap != nil || len(r.GetNetbirdConfig().GetRelay().GetUrls()) == 0 {
		t.Fatalf("refresh %v", r)
	}
	wantConfigToken(t, r.GetNetbirdConfig().GetRelay(), secret)
}

func wantConfigToken(t *testing.T, relay *proto.RelayConfig, secret string) {
	t.Helper()
	key := sha256.Sum256([]byte(secret))
	mac := hmac.New(sha256.New, key[:])
	mac.Write([]byte(relay.GetTokenPayload()))
	if want := base64.StdEncoding.EncodeToString(mac.Sum(nil)); relay.GetTokenSignature() != want {
		t.Errorf("signature %q instead of %q", relay.GetTokenSignature(), want)
	}
}

func TestManagement22NewerStreamWins(t *testing.T) {
	c := cluster(t)
	s := c.Space(t)
	at := managements(t, c)
	b := harness.NewBare(t, at[0], "twice")
	b.Login(t, s.Key)
	for _, newer := range []string{at[0], at[1]} {
		old := b.Sync(t)
		old.Next(t, 5*time.Second)
		second := b.At(t, newer)
		stream := second.Sync(t)
		if m := stream.Next(t, 5*time.Second); m.GetNetbirdConfig() == nil || m.GetNetworkMap() == nil {
			t.Errorf("the newer stream begins with %v", m)
		}
		if _, err := old.End(t, 3*time.Second); err != nil {
			t.Errorf("the older stream ended with %v", err)
		}
		// Later changes reach the newer one, and the peer counts as connected.
		other := harness.NewBare(t, at[0], "later")
		other.Login(t, s.Key)
		stream.Until(t, 2*time.Second, "a map with the later peer", func(m *proto.SyncResponse) bool {
			for _, p := range m.GetNetworkMap().GetRemotePeers() {
				if p.GetWgPubKey() == other.PublicKey() {
					return true
				}
			}
			return false
		})
		harness.Eventually(t, 10*time.Second, "shown as connected", func() error {
			p, err := s.Peers.Get(t.Context(), s.PeerID(t, "twice"))
			if err == nil && !p.Connected {
				err = fmt.Errorf("not connected")
			}
			return err
		})
		stream.Cut()
	}
}

func TestManagement23DeletedPeer(t *testing.T) {
	c := cluster(t)
	s := c.Lonely(t)
	b := harness.NewBare(t, front(t, c), "doomed")
	b.Login(t, s.Key)
	stream := b.Sync(t)
	stream.Next(t, 5*time.Second)
	if err := s.Peers.Delete(t.Context(), s.PeerID(t, "doomed")); err != nil {
		t.Fatal(err)
	}
	rest, err := stream.End(t, 2*time.Second)
	if err != nil {
		t.Errorf("the stream ended with %v", err)
	}
	for _, m := range rest {
		nm := m.GetNetworkMap()
		if m.NetbirdConfig != nil || !nm.GetRemotePeersIsEmpty() || !nm.GetFirewallRulesIsEmpty() || !nm.GetRoutesFirewallRulesIsEmpty() {
			t.Errorf("last message %v", m)
		}
	}
	again, err := b.TrySync(t.Context())
	if err == nil {
		_, err = again.End(t, 5*time.Second)
	}
	harness.WantStatus(t, err, codes.PermissionDenied, "peer is not registered")
	_, err = b.TryLogin(t.Context(), "")
	harness.WantStatus(t, err, codes.PermissionDenied, "")
}

func TestManagement24Logout(t *testing.T) {
	c := cluster(t)
	s := c.Lonely(t)
	b := harness.NewBare(t, front(t, c), "leaver")
	harness.WantStatus(t, b.Logout(t.Context()), codes.NotFound, "")
	b.Login(t, s.Key)
	stream := b.Sync(t)
	stream.Next(t, 5*time.Second)
	if err := b.Logout(t.Context()); err != nil {
		t.Fatal(err)
	}
	if _, err := stream.End(t, 2*time.Second); err != nil {
		t.Errorf("the stream ended with %v", err)
	}
	if n := len(s.Members(t)); n != 0 {
		t.Errorf("%d peers are left", n)
	}
}

func TestManagement26ClassicMap(t *testing.T) {
	c := cluster(t)
	b := harness.NewBare(t, front(t, c), "modern")
	b.Login(t, c.Lonely(t).Key)
	m := b.Sync(t).Next(t, 5*time.Second)
	if m.GetVersion() != 0 || m.NetworkMap == nil || m.NetworkMapEnvelope != nil {
		t.Errorf("version %d, map %v, envelope %v", m.GetVersion(), m.NetworkMap != nil, m.NetworkMapEnvelope != nil)
	}
}

func TestManagement29JobStream(t *testing.T) {
	c := cluster(t)
	b := harness.NewBare(t, front(t, c), "worker")
	open := func() (proto.ManagementService_JobClient, error) {
		server, err := b.ServerKey(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		hello, err := b.Seal(server, &proto.JobRequest{ID: []byte("7d1f3a4e-27a4-4f9d-8a34-0c6c5b1a2d3e")})
		if err != nil {
			t.Fatal(err)
		}
		stream, err := b.RPC.Job(t.Context())
		if err == nil {
			err = stream.Send(hello)
		}
		return stream, err
	}
	stranger, err := open()
	if err == nil {
		_, err = stranger.Recv()
	}
	harness.WantStatus(t, err, codes.PermissionDenied, "peer is not registered")

	b.Login(t, c.Lonely(t).Key)
	stream, err := open()
	if err != nil {
		t.Fatal(err)
	}
	ended := make(chan error, 1)
	go func() {
		_, err := stream.Recv()
		ended <- err
	}()
	select {
	case err := <-ended:
		t.Errorf("the silent stream ended with %v (end of stream: %v)", err, err == io.EOF)
	case <-time.After(3 * time.Second):
	}
}

// A setting that travels beside the map, in netbirdConfig, reaches agents that are connected.
func TestManagementConfigPushedLive(t *testing.T) {
	c := cluster(t)
	s := c.Lonely(t)
	b := harness.NewBare(t, front(t, c), "measured")
	b.Login(t, s.Key)
	stream := b.Sync(t)
	if first := stream.Next(t, 5*time.Second).GetNetbirdConfig(); first.GetMetrics() == nil || first.GetMetrics().GetEnabled() {
		t.Errorf("metrics at first: %v", first.GetMetrics())
	}
	accounts, err := s.Accounts.List(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	set := func(enabled bool) {
		t.Helper()
		settings := accounts[0].Settings
		settings.MetricsPushEnabled = &enabled
		if _, err := s.Accounts.Update(context.Background(), accounts[0].Id, api.AccountRequest{Settings: settings}); err != nil {
			t.Fatal(err)
		}
	}
	defer set(false)
	set(true)
	m, _ := stream.Until(t, 2*time.Second, "metrics switched on", func(m *proto.SyncResponse) bool {
		return m.GetNetbirdConfig().GetMetrics().GetEnabled()
	})
	wantConfig(t, m.GetNetbirdConfig()) // one without its relay would switch the relay off
	if m.GetNetworkMap() == nil {
		t.Error("no map beside the config")
	}
}

func TestManagement30NoSSO(t *testing.T) {
	c := cluster(t)
	needsProcesses(t, c)
	b := harness.NewBare(t, c.Sibling(t, "management-1", map[string]string{"oidc_embedded": "false"}).Listen, "x")
	_, err := b.PKCE(t.Context())
	harness.WantStatus(t, err, codes.NotFound, "no pkce authorization flow information available")
	_, err = b.Device(t.Context())
	harness.WantStatus(t, err, codes.NotFound, "no device authorization flow information available")
}

func TestManagementSyncOfUnknown(t *testing.T) {
	s, err := harness.NewBare(t, front(t, cluster(t)), "x").TrySync(t.Context())
	if err == nil {
		_, err = s.End(t, 5*time.Second)
	}
	harness.WantStatus(t, err, codes.PermissionDenied, "peer is not registered")
}
