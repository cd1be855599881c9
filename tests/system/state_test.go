package system

import (
	"context"
	"fmt"
	"net/netip"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"github.com/netbirdio/netbird/shared/management/http/api"
	"github.com/netbirdio/netbird/shared/management/proto"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"

	"rookery.test/system/harness"
)

func peersOf(m *proto.SyncResponse) int { return len(m.GetNetworkMap().GetRemotePeers()) }

// settings changes the account's settings; they are put back with the test.
func settings(t *testing.T, s *harness.Space, change func(*api.AccountSettings)) {
	t.Helper()
	accounts, err := s.Accounts.List(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	before := accounts[0].Settings
	after := before
	if before.Extra != nil {
		extra := *before.Extra
		after.Extra = &extra
	}
	change(&after)
	put := func(v api.AccountSettings) {
		s.Want(t, 200, "PUT", "/api/accounts/"+accounts[0].Id, api.AccountRequest{Settings: v}, nil)
	}
	put(after)
	t.Cleanup(func() {
		if _, err := s.Try(context.Background(), "PUT", "/api/accounts/"+accounts[0].Id, api.AccountRequest{Settings: before}); err != nil {
			t.Error(err)
		}
	})
}

// Case 27, and what it is for: a process check goes to the agent, whose report of the process opens what it guards.
func TestManagement27ProcessCheck(t *testing.T) {
	const path = "/usr/bin/guard"
	c := cluster(t)
	s := c.Lonely(t)
	sources, destinations := s.NewGroup(t, "src"), s.NewGroup(t, "dst")
	at := managements(t, c)
	b := harness.NewBare(t, at[0], "checked")
	b.Login(t, s.NewKey(t, api.CreateSetupKeyRequest{Name: "src", Type: "reusable", AutoGroups: []string{s.Group, sources}}).Key)
	guarded := harness.NewBare(t, at[1], "guarded")
	guarded.Login(t, s.NewKey(t, api.CreateSetupKeyRequest{Name: "dst", Type: "reusable", AutoGroups: []string{s.Group, destinations}}).Key)
	stream, other := b.Sync(t), guarded.Sync(t)
	if first := stream.Next(t, 5*time.Second); len(first.GetChecks()) != 0 {
		t.Errorf("checks %v", first.GetChecks())
	}
	other.Next(t, 5*time.Second)

	var check struct{ ID string }
	s.Want(t, 200, "POST", "/api/posture-checks", map[string]any{"name": s.Name, "checks": map[string]any{
		"process_check": map[string]any{"processes": []map[string]any{{"linux_path": path, "windows_path": `C:\guard.exe`}}}}}, &check)
	t.Cleanup(func() { _, _ = s.Try(context.Background(), "DELETE", "/api/posture-checks/"+check.ID, nil) })
	policy, err := s.Policies.Create(t.Context(), api.PostApiPoliciesJSONRequestBody{Name: s.Name, Enabled: true,
		SourcePostureChecks: &[]string{check.ID}, Rules: []api.PolicyRuleUpdate{harness.Rule(sources, destinations, "tcp", false, "443")}})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _, _ = s.Try(context.Background(), "DELETE", "/api/policies/"+*policy.Id, nil) })
	m, _ := stream.Until(t, 2*time.Second, "a map with the check", func(m *proto.SyncResponse) bool { return len(m.GetChecks()) == 1 })
	if files := m.GetChecks()[0].GetFiles(); !slices.Contains(files, path) || !slices.Contains(files, `C:\guard.exe`) {
		t.Errorf("files %v", files)
	}
	if peersOf(m) != 0 {
		t.Errorf("%d remote peers before the process was seen", peersOf(m))
	}
	report := func(running bool, peers int) {
		t.Helper()
		b.Meta.Files = []*proto.File{{Path: path, Exist: true, ProcessIsRunning: running}}
		start := time.Now()
		if err := b.SyncMeta(t.Context()); err != nil {
			t.Fatal(err)
		}
		if took := time.Since(start); took > time.Second {
			t.Errorf("SyncMeta took %v", took)
		}
		for _, x := range []*harness.Stream{stream, other} {
			x.Until(t, 2*time.Second, fmt.Sprintf("running: %v", running), func(m *proto.SyncResponse) bool { return peersOf(m) == peers })
		}
	}
	report(true, 1)
	report(false, 0)
}

// Case 28, as far as it goes without an identity provider.
func TestManagement28ExtendWithoutToken(t *testing.T) {
	c := cluster(t)
	b := harness.NewBare(t, front(t, c), "extends")
	b.Login(t, c.Lonely(t).Key)
	_, err := b.Extend(t.Context(), "")
	harness.WantStatus(t, err, codes.InvalidArgument, "jwt token is required")
	_, err = b.Extend(t.Context(), "a.b.c")
	harness.WantStatus(t, err, codes.InvalidArgument, "")
}

type jobView struct {
	ID, Status   string
	FailedReason string         `json:"failed_reason"`
	Workload     map[string]any `json:"workload"`
}

func createJob(t *testing.T, s *harness.Space, peer string) string {
	t.Helper()
	var made jobView
	s.Want(t, 200, "POST", "/api/peers/"+peer+"/jobs", map[string]any{"workload": map[string]any{"type": "bundle",
		"parameters": map[string]any{"bundle_for": true, "bundle_for_time": 2, "log_file_count": 10, "anonymize": true}}}, &made)
	return made.ID
}

func jobEnds(t *testing.T, s *harness.Space, peer, id string) jobView {
	t.Helper()
	var v jobView
	harness.Eventually(t, 5*time.Second, "the job has ended", func() error {
		s.Want(t, 200, "GET", "/api/peers/"+peer+"/jobs/"+id, nil, &v)
		if v.Status == "pending" {
			return fmt.Errorf("pending")
		}
		return nil
	})
	return v
}

// Case 29's second half: a queued job arrives with its id, its answer is kept; one whose stream ended is told again at
// another replica.
func TestManagement29JobsAreDone(t *testing.T) {
	c := cluster(t)
	s := c.Lonely(t)
	at := managements(t, c)
	b := harness.NewBare(t, at[0], "worker")
	b.Login(t, s.Key)
	b.Sync(t).Next(t, 5*time.Second)
	id := s.PeerID(t, "worker")
	becomes(t, s, id, true, 5*time.Second)
	stream := b.Jobs(t)

	first := createJob(t, s, id)
	job := stream.Next(t, time.Second)
	p := job.GetBundle()
	if string(job.GetID()) != first || !p.GetBundleFor() || p.GetBundleForTime() != 2 || p.GetLogFileCount() != 10 || !p.GetAnonymize() {
		t.Errorf("job %v instead of %s", job, first)
	}
	// What was not asked for changes nothing.
	stream.Answer(t, &proto.JobResponse{ID: []byte("another"), Status: proto.JobStatus_failed})
	stream.Answer(t, &proto.JobResponse{ID: job.ID, Status: proto.JobStatus_succeeded,
		WorkloadResults: &proto.JobResponse_Bundle{Bundle: &proto.BundleResult{UploadKey: "bundle/key"}}})
	if v := jobEnds(t, s, id, first); v.Status != "succeeded" || v.FailedReason != "" ||
		fmt.Sprint(v.Workload["result"]) != "map[upload_key:bundle/key]" {
		t.Errorf("%+v", v)
	}

	second := createJob(t, s, id)
	if job = stream.Next(t, time.Second); string(job.GetID()) != second {
		t.Fatalf("job %s instead of %s", job.GetID(), second)
	}
	stream.Cut()
	moved := b.At(t, at[1]).Jobs(t)
	if job = moved.Next(t, 2*time.Second); string(job.GetID()) != second {
		t.Fatalf("job %s instead of %s", job.GetID(), second)
	}
	moved.Answer(t, &proto.JobResponse{ID: job.ID, Status: proto.JobStatus_failed, Reason: []byte("no disk")})
	if v := jobEnds(t, s, id, second); v.Status != "failed" || v.FailedReason != "no disk" {
		t.Errorf("%+v", v)
	}
	// A job whose doorbell was lost is found all the same.
	lost := "5f0c9a52-4d3c-4d6e-9d5b-3f1f5a3b7c11"
	c.SQL(t, fmt.Sprintf(`INSERT INTO peer_job (id, account_id, peer_id, status, triggered_by, workload) SELECT '%s', account_id, id,
		'pending', 'x', '{"type": "bundle", "parameters": {"log_file_count": 1}}' FROM peer WHERE id = '%s'`, lost, id))
	if job = moved.Next(t, 8*time.Second); string(job.GetID()) != lost {
		t.Errorf("job %s instead of %s", job.GetID(), lost)
	}
}

// A change that leaves a map as it was but for its serial is not sent; a new stream gets its map always.
func TestPropagationSkipsWhatSaysNothing(t *testing.T) {
	c := cluster(t)
	needsProcesses(t, c)
	s := c.Space(t)
	b := harness.NewBare(t, managements(t, c)[0], "watcher")
	b.Login(t, s.Key)
	harness.NewBare(t, front(t, c), "other").Login(t, s.Key)
	stream := b.Sync(t)
	m, _ := stream.Until(t, 5*time.Second, "the other", func(m *proto.SyncResponse) bool { return peersOf(m) == 1 })
	serial := m.GetNetworkMap().GetSerial()
	admin := c.Proc(t, "management-1").Admin
	before := harness.Metric(t, admin, "rookery_management_maps_skipped_total")
	// The same rule under another name: a change of the account, and of nothing that an agent is told.
	for i := range 3 {
		s.SetPolicy(t, s.Policy, harness.Rule(s.Group, s.Group, "tcp", true, "7000"))
		if i == 0 {
			m, _ = stream.Until(t, 2*time.Second, "the new rule", func(m *proto.SyncResponse) bool {
				return hasPort(m.GetNetworkMap(), "7000") == nil
			})
		}
		touch(t, c, s.PeerID(t, "watcher"))
	}
	if m.GetNetworkMap().GetSerial() <= serial {
		t.Errorf("serial %d after %d", m.GetNetworkMap().GetSerial(), serial)
	}
	stream.Quiet(t, 4*time.Second) // more than a sweep
	t.Logf("%v maps were skipped", harness.Metric(t, admin, "rookery_management_maps_skipped_total")-before)
	fresh := b.Sync(t).Next(t, 5*time.Second)
	if fresh.GetNetworkMap() == nil || fresh.GetNetworkMap().GetSerial() <= m.GetNetworkMap().GetSerial() {
		t.Errorf("serial of a fresh stream %d, of the last map %d", fresh.GetNetworkMap().GetSerial(), m.GetNetworkMap().GetSerial())
	}
}

// ends tells that a stream ends with status 0 within a second of a change that was just answered.
func ends(t *testing.T, what string, stream *harness.Stream) {
	t.Helper()
	start := time.Now()
	if _, err := stream.End(t, 3*time.Second); err != nil {
		t.Errorf("%s: the stream ended with %v", what, err)
	}
	if took := time.Since(start); took > time.Second {
		t.Errorf("%s: the stream ended after %v", what, took)
	}
}

// Streams of those who may have none any more end within a second, at whichever replica they are.
func TestStreamsEndWithTheirReason(t *testing.T) {
	c := cluster(t)
	needsProcesses(t, c)
	s := c.Lonely(t)
	var user struct{ ID string }
	// A person of this account, as an identity provider would bring them.
	user.ID = "person-" + s.Name
	c.SQL(t, fmt.Sprintf(`INSERT INTO users (id, account_id, role, name, email) SELECT '%[1]s', id, 'user', 'P', '%[1]s@x.test' FROM account`, user.ID))
	t.Cleanup(func() { _, _ = s.Try(context.Background(), "DELETE", "/api/users/"+user.ID, nil) })
	bring := func(name, at string) (*harness.Bare, *harness.Stream) {
		b := harness.NewBare(t, at, name)
		b.Login(t, s.Key)
		id := s.PeerID(t, name)
		c.SQL(t, fmt.Sprintf("UPDATE peer SET user_id = '%s' WHERE id = '%s'", user.ID, id))
		c.SQL(t, fmt.Sprintf(`WITH a AS (UPDATE account SET serial = serial + 1 RETURNING id, serial)
			INSERT INTO account_change (account_id, serial, kind, object_id) SELECT id, serial, k, o FROM a,
			(VALUES ('peer', '%s'), ('user', '%s')) x(k, o)`, id, user.ID))
		var stream *harness.Stream
		harness.Eventually(t, 10*time.Second, "the replica knows the owner", func() error {
			if n := c.SQL(t, fmt.Sprintf("SELECT user_id FROM peer WHERE id = '%s'", id)); n != user.ID {
				return fmt.Errorf("owner %s", n)
			}
			stream = b.Sync(t)
			_, err := stream.TryNext(5 * time.Second)
			return err
		})
		return b, stream
	}
	at := managements(t, c)
	gone, goneStream := bring("gone", at[0])
	one, first := bring("first", at[0])
	two, second := bring("second", at[1])
	// A replica hears of a change a moment after it was answered.
	knows := func(b *harness.Bare, want codes.Code, text string) {
		t.Helper()
		harness.Eventually(t, 10*time.Second, "access is refused", func() error {
			_, err := b.TryLogin(t.Context(), "")
			if got := status.Convert(err); got.Code() != want || got.Message() != text {
				return fmt.Errorf("status %d %q", got.Code(), got.Message())
			}
			return nil
		})
	}
	if err := s.Peers.Delete(t.Context(), s.PeerID(t, "gone")); err != nil {
		t.Fatal(err)
	}
	ends(t, "deleted", goneStream)
	refused(t, gone, codes.PermissionDenied, "")

	s.Want(t, 200, "PUT", "/api/users/"+user.ID, map[string]any{"role": "user", "auto_groups": []string{}, "is_blocked": true}, nil)
	ends(t, "blocked, at one replica", first)
	ends(t, "blocked, at the other", second)
	knows(one, codes.PermissionDenied, "user is blocked")
	refused(t, two, codes.PermissionDenied, "user is blocked")
	s.Want(t, 200, "PUT", "/api/users/"+user.ID, map[string]any{"role": "user", "auto_groups": []string{}, "is_blocked": false}, nil)
	knows(one, codes.PermissionDenied, loginExpired) // unblocking does not log in
}

// IPv6 follows membership of the groups that have it, on the peer's own stream and on those that see it.
func TestIPv6FollowsMembership(t *testing.T) {
	c := cluster(t)
	s := c.Space(t)
	at := managements(t, c)
	six := s.NewGroup(t, "six")
	settings(t, s, func(a *api.AccountSettings) { a.Ipv6EnabledGroups = &[]string{six} })
	b, other := harness.NewBare(t, at[0], "mover"), harness.NewBare(t, at[1], "sees")
	if login := b.Login(t, s.Key); len(login.GetPeerConfig().GetAddressV6()) != 0 {
		t.Errorf("address %x outside the groups", login.GetPeerConfig().GetAddressV6())
	}
	other.Login(t, s.NewKey(t, api.CreateSetupKeyRequest{Name: "six", Type: "reusable", AutoGroups: []string{s.Group, six}}).Key)
	own, seen := b.Sync(t), other.Sync(t)
	own.Next(t, 5*time.Second)
	seen.Until(t, 5*time.Second, "a map with the other", func(m *proto.SyncResponse) bool { return peersOf(m) == 1 })
	members := func(ids ...string) {
		t.Helper()
		if _, err := s.Groups.Update(t.Context(), six, api.PutApiGroupsGroupIdJSONRequestBody{Name: s.Name + "-six", Peers: &ids}); err != nil {
			t.Fatal(err)
		}
	}
	sees := func(m *proto.SyncResponse) string {
		for _, p := range m.GetNetworkMap().GetRemotePeers() {
			if p.GetWgPubKey() == b.PublicKey() && len(p.GetAllowedIps()) == 2 {
				return p.GetAllowedIps()[1]
			}
		}
		return ""
	}
	members(s.PeerID(t, "sees"), s.PeerID(t, "mover"))
	m, _ := own.Until(t, 2*time.Second, "an IPv6 address", func(m *proto.SyncResponse) bool {
		return len(m.GetNetworkMap().GetPeerConfig().GetAddressV6()) == 17
	})
	address, _ := netip.AddrFromSlice(m.GetNetworkMap().GetPeerConfig().GetAddressV6()[:16])
	seen.Until(t, 2*time.Second, "the mover's IPv6 address", func(m *proto.SyncResponse) bool { return sees(m) == address.String()+"/128" })
	// Login and Sync agree, or the agent would start over and over.
	if login := b.Login(t, ""); string(login.GetPeerConfig().GetAddressV6()) != string(m.GetPeerConfig().GetAddressV6()) {
		t.Errorf("login says %x, sync %x", login.GetPeerConfig().GetAddressV6(), m.GetPeerConfig().GetAddressV6())
	}
	members(s.PeerID(t, "sees"))
	own.Until(t, 2*time.Second, "no IPv6 address", func(m *proto.SyncResponse) bool {
		return m.GetNetworkMap() != nil && len(m.GetNetworkMap().GetPeerConfig().GetAddressV6()) == 0
	})
	seen.Until(t, 2*time.Second, "the mover without IPv6", func(m *proto.SyncResponse) bool { return peersOf(m) == 1 && sees(m) == "" })
}

// A new SSH host key, told at login, is with those who connect to it at once.
func TestSSHHostKeyIsTold(t *testing.T) {
	c := cluster(t)
	s := c.Space(t)
	at := managements(t, c)
	b, other := harness.NewBare(t, at[0], "host"), harness.NewBare(t, at[1], "sees")
	b.Login(t, s.Key)
	other.Login(t, s.Key)
	stream := other.Sync(t)
	stream.Until(t, 5*time.Second, "the host", func(m *proto.SyncResponse) bool { return peersOf(m) == 1 })
	const key = "ssh-ed25519 AAAAanother"
	if _, err := b.Send(t.Context(), &proto.LoginRequest{Meta: b.Meta, PeerKeys: &proto.PeerKeys{SshPubKey: []byte(key)}}); err != nil {
		t.Fatal(err)
	}
	stream.Until(t, 2*time.Second, "the new host key", func(m *proto.SyncResponse) bool {
		return peersOf(m) == 1 && string(m.GetNetworkMap().GetRemotePeers()[0].GetSshConfig().GetSshPubKey()) == key
	})
}

// Others are told of a changed machine only when something of theirs changes with it.
func TestMetadataTellsWhomItConcerns(t *testing.T) {
	c := cluster(t)
	s := c.Space(t)
	at := managements(t, c)
	b, other := harness.NewBare(t, at[0], "changes"), harness.NewBare(t, at[1], "sees")
	b.Login(t, s.Key)
	other.Login(t, s.Key)
	stream := other.Sync(t)
	stream.Until(t, 5*time.Second, "the first", func(m *proto.SyncResponse) bool { return peersOf(m) == 1 })
	harness.Eventually(t, 10*time.Second, "quiet", func() error {
		if m, err := stream.TryNext(1200 * time.Millisecond); err == nil {
			return fmt.Errorf("a map of serial %d", m.GetNetworkMap().GetSerial())
		}
		return nil
	})
	id := s.PeerID(t, "changes")
	b.Meta.UiVersion, b.Meta.SysSerialNumber, b.Meta.KernelVersion = "netbird-desktop-ui/0.77.1", "S/N 7", "6.2.0"
	b.Meta.NetworkAddresses = append(b.Meta.NetworkAddresses, &proto.NetworkAddress{NetIP: "10.1.2.3/24"})
	b.Sync(t).Next(t, 5*time.Second)
	p, err := s.Peers.Get(t.Context(), id)
	if err != nil || p.UiVersion != b.Meta.UiVersion || p.SerialNumber != "S/N 7" || p.KernelVersion != "6.2.0" {
		t.Errorf("stored: %+v, %v", p, err)
	}
	stream.Quiet(t, 1500*time.Millisecond)
	b.Meta.UiVersion, b.Meta.NetbirdVersion = "", "0.76.0"
	b.Sync(t).Next(t, 5*time.Second)
	stream.Until(t, 2*time.Second, "the agent's new version", func(m *proto.SyncResponse) bool {
		return peersOf(m) == 1 && m.GetNetworkMap().GetRemotePeers()[0].GetAgentVersion() == "0.76.0"
	})
	if p, err = s.Peers.Get(t.Context(), id); err != nil || p.UiVersion != "netbird-desktop-ui/0.77.1" || p.Version != "0.76.0" {
		t.Errorf("stored: %+v, %v", p, err)
	}
}

// A peer that waits for approval has the empty map and is in nobody's; switching approval off gives it its map at once.
func TestPeerApproval(t *testing.T) {
	c := cluster(t)
	needsProcesses(t, c)
	s := c.Space(t)
	at := managements(t, c)
	settings(t, s, func(a *api.AccountSettings) {
		if a.Extra == nil {
			a.Extra = &api.AccountExtraSettings{}
		}
		a.Extra.PeerApprovalEnabled = true
	})
	other := harness.NewBare(t, at[1], "member")
	other.Login(t, s.Key)
	seen := other.Sync(t)
	seen.Next(t, 5*time.Second)
	b := harness.NewBare(t, at[0], "waits")
	b.Login(t, s.Key) // by a setup key: approved by whoever made the key
	seen.Until(t, 2*time.Second, "a peer with a setup key", func(m *proto.SyncResponse) bool { return peersOf(m) == 1 })
	id := s.PeerID(t, "waits")
	c.SQL(t, fmt.Sprintf("UPDATE peer SET requires_approval = true WHERE id = '%s'", id))
	touch(t, c, id)
	seen.Until(t, 5*time.Second, "nobody while it waits", func(m *proto.SyncResponse) bool {
		return m.GetNetworkMap() != nil && peersOf(m) == 0
	})
	b.Login(t, "")
	var m *proto.SyncResponse
	var stream *harness.Stream
	harness.Eventually(t, 5*time.Second, "the empty map", func() error {
		stream = b.Sync(t)
		m = stream.Next(t, 5*time.Second)
		if peersOf(m) != 0 {
			return fmt.Errorf("%d remote peers", peersOf(m))
		}
		return nil
	})
	wantConfig(t, m.GetNetbirdConfig())
	nm := m.GetNetworkMap()
	if !nm.GetRemotePeersIsEmpty() || !nm.GetFirewallRulesIsEmpty() || !nm.GetRoutesFirewallRulesIsEmpty() || nm.GetSshAuth() != nil ||
		nm.GetDNSConfig().GetServiceEnable() || nm.GetPeerConfig().GetAddress() == "" {
		t.Errorf("the empty map is %v", nm)
	}
	settings(t, s, func(a *api.AccountSettings) { a.Extra.PeerApprovalEnabled = false })
	stream.Until(t, 2*time.Second, "the member", func(m *proto.SyncResponse) bool { return peersOf(m) == 1 })
	seen.Until(t, 2*time.Second, "the approved", func(m *proto.SyncResponse) bool { return peersOf(m) == 1 })
	if n := c.SQL(t, fmt.Sprintf("SELECT count(*) FROM event WHERE code = 'peer.approve' AND target_id = '%s'", id)); n != "1" {
		t.Errorf("%s events", n)
	}
}

// Where a peer connects from decides a posture check of the location, as it roams and as the operator's file changes.
func TestPeerLocation(t *testing.T) {
	c := cluster(t)
	needsProcesses(t, c)
	s := c.Lonely(t)
	file := filepath.Join(t.TempDir(), "cities.mmdb")
	harness.WriteCities(t, file, 1700000000, harness.Place{Prefix: "203.0.113.0/24", Code: "NL", Country: "Netherlands", City: "Utrecht", ID: 1})
	m := c.Sibling(t, "management-1", map[string]string{"geo_database": file, "trusted_proxies": "10.99.0.0/16,127.0.0.0/8"})
	b := harness.NewBare(t, m.Listen, "roams")
	place := func(ip, country, city string) {
		t.Helper()
		ctx := metadata.AppendToOutgoingContext(t.Context(), "x-forwarded-for", ip)
		stream, err := b.TrySync(ctx)
		if err != nil {
			t.Fatal(err)
		}
		defer stream.Cut()
		stream.Next(t, 5*time.Second)
		got := c.SQL(t, fmt.Sprintf("SELECT location_ip, country_code, city_name FROM peer WHERE id = '%s'", s.PeerID(t, "roams")))
		if want := ip + "|" + country + "|" + city; got != want {
			t.Errorf("%s instead of %s", got, want)
		}
	}
	ctx := metadata.AppendToOutgoingContext(t.Context(), "x-forwarded-for", "203.0.113.9")
	if _, err := b.TryLogin(ctx, s.Key); err != nil {
		t.Fatal(err)
	}
	if got := c.SQL(t, fmt.Sprintf("SELECT location_ip, country_code, geoname_id FROM peer WHERE id = '%s'", s.PeerID(t, "roams"))); got != "203.0.113.9|NL|1" {
		t.Errorf("at registration: %s", got)
	}
	place("203.0.113.9", "NL", "Utrecht")
	place("198.51.100.7", "", "")
	place("203.0.113.77", "NL", "Utrecht")
	harness.WriteCities(t, file, 1700000001, harness.Place{Prefix: "203.0.113.0/24", Code: "BE", Country: "Belgium", City: "Gent", ID: 2})
	harness.Eventually(t, 10*time.Second, "the new file is in effect", func() error {
		stream, err := b.TrySync(metadata.AppendToOutgoingContext(t.Context(), "x-forwarded-for", "203.0.113.77"))
		if err != nil {
			return err
		}
		defer stream.Cut()
		stream.Next(t, 5*time.Second)
		if got := c.SQL(t, fmt.Sprintf("SELECT country_code FROM peer WHERE id = '%s'", s.PeerID(t, "roams"))); got != "BE" {
			return fmt.Errorf("country %s", got)
		}
		return nil
	})
}

// Temporary access: a guest in a browser, made over REST, is let in with its key alone and is gone, with its policies, once
// it has been away for its life. Nothing is recorded of its going.
func TestTemporaryAccessEnds(t *testing.T) {
	c := cluster(t)
	needsProcesses(t, c)
	s := c.Lonely(t)
	at := managements(t, c)
	target := harness.NewBare(t, at[1], "target")
	target.Login(t, s.Key)
	stream := target.Sync(t)
	stream.Next(t, 5*time.Second)
	guest := harness.NewBare(t, at[0], "guest")
	guest.Meta.GoOS, guest.Meta.Kernel = "js", "wasm"
	var made struct{ ID string }
	s.Want(t, 200, "POST", "/api/peers/"+s.PeerID(t, "target")+"/temporary-access",
		map[string]any{"name": "guest", "wg_pub_key": guest.PublicKey(), "rules": []string{"tcp/8443"}}, &made)
	guest.Login(t, "")
	own := guest.Sync(t)
	own.Until(t, 5*time.Second, "the target", func(m *proto.SyncResponse) bool { return peersOf(m) == 1 })
	m, _ := stream.Until(t, 5*time.Second, "the guest", func(m *proto.SyncResponse) bool { return peersOf(m) == 1 })
	if !slices.ContainsFunc(m.GetNetworkMap().GetFirewallRules(), func(r *proto.FirewallRule) bool {
		return r.GetPortInfo().GetRange().GetStart() == 8443 && r.GetPortInfo().GetRange().GetEnd() == 8443
	}) {
		t.Errorf("no rule for port 8443: %v", m.GetNetworkMap().GetFirewallRules())
	}
	becomes(t, s, made.ID, true, 5*time.Second)
	own.Cut()
	becomes(t, s, made.ID, false, 5*time.Second)
	left := func() string {
		return c.SQL(t, fmt.Sprintf("SELECT count(*) FROM due WHERE kind = 'ephemeral' AND object_id = '%s' AND at > now() + interval '9 minutes'", made.ID))
	}
	if n := left(); n != "1" {
		t.Fatalf("%s deadlines", n)
	}
	// Ten minutes go by.
	c.SQL(t, fmt.Sprintf("UPDATE peer_status SET last_seen = last_seen - interval '10 minutes' WHERE peer_id = '%s'", made.ID))
	c.SQL(t, fmt.Sprintf("UPDATE due SET at = at - interval '10 minutes' WHERE object_id = '%s'", made.ID))
	stream.Until(t, lateLimit+time.Second, "a map without the guest", func(m *proto.SyncResponse) bool { return peersOf(m) == 0 })
	for what, q := range map[string]string{
		"peers":    fmt.Sprintf("SELECT count(*) FROM peer WHERE id = '%s'", made.ID),
		"policies": fmt.Sprintf("SELECT count(*) FROM policy_rule WHERE source_resource_id = '%s'", made.ID),
		"events":   fmt.Sprintf("SELECT count(*) FROM event WHERE code = 'user.peer.delete' AND target_id = '%s'", made.ID),
	} {
		if n := c.SQL(t, q); n != "0" {
			t.Errorf("%s %s", n, what)
		}
	}
}

// An agent whose SyncMeta gets no answer throws away the map that made it ask; it is given another, though nothing changed.
func TestSyncMetaWithoutAnswerCostsNoMap(t *testing.T) {
	c := cluster(t)
	needsProcesses(t, c)
	s := c.Lonely(t)
	b := harness.NewBare(t, managements(t, c)[0], "asks")
	b.Login(t, s.Key)
	stream := b.Sync(t)
	stream.Next(t, 5*time.Second)
	harness.Eventually(t, 10*time.Second, "quiet", func() error {
		if m, err := stream.TryNext(1200 * time.Millisecond); err == nil {
			return fmt.Errorf("a map of serial %d", m.GetNetworkMap().GetSerial())
		}
		return nil
	})
	held := make(chan struct{})
	go func() { // somebody holds the account for longer than the agent waits
		defer close(held)
		c.SQL(t, "SELECT 1 FROM account FOR UPDATE; SELECT pg_sleep(3)")
	}()
	harness.Eventually(t, 2*time.Second, "the account is held", func() error {
		if n := c.SQL(t, "SELECT count(*) FROM (SELECT 1 FROM account FOR UPDATE SKIP LOCKED) x"); n != "0" {
			return fmt.Errorf("not yet")
		}
		return nil
	})
	ctx, cancel := context.WithTimeout(t.Context(), time.Second)
	defer cancel()
	harness.WantStatus(t, b.SyncMeta(ctx), codes.DeadlineExceeded, "")
	<-held
	if m := stream.Next(t, 3*time.Second); m.GetNetworkMap() == nil {
		t.Errorf("no map in %v", m)
	}
	if err := b.SyncMeta(t.Context()); err != nil {
		t.Fatal(err)
	}
	stream.Quiet(t, 1500*time.Millisecond)
}
