package system

import (
	"fmt"
	"strings"
	"testing"

	"github.com/netbirdio/netbird/shared/management/http/api"
	"github.com/netbirdio/netbird/shared/management/proto"
	"rookery.test/system/harness"
)

func TestRESTJobs(t *testing.T) {
	c := cluster(t)
	s := c.Lonely(t)
	check := described(t, s.REST)
	b := harness.NewBare(t, front(t, c), s.Name)
	b.Login(t, s.Key)
	peer := s.PeerID(t, s.Name)
	bundle := func(change map[string]any) map[string]any {
		return map[string]any{"workload": map[string]any{"type": "bundle", "parameters": with(map[string]any{"bundle_for": true,
			"bundle_for_time": 2, "log_file_count": 10, "anonymize": true}, change)}}
	}
	path := "/api/peers/" + peer + "/jobs"
	for _, row := range []struct {
		status  int
		message string
		body    any
	}{
		{400, "couldn't parse JSON request", `{"workload":`},
		{400, "could not determine job type", map[string]any{}},
		{400, "could not determine job type", map[string]any{"workload": []int{}}},
		{400, "could not determine job type", map[string]any{"workload": map[string]any{"type": 7}}},
		{400, "job type is required", map[string]any{"workload": map[string]any{}}},
		{400, "unsupported job type: x", map[string]any{"workload": map[string]any{"type": "x"}}},
		{400, "invalid parameters for bundle job", map[string]any{"workload": map[string]any{"type": "bundle", "parameters": "x"}}},
		{400, "bundle_for_time must be between 1 and 5, got 6", bundle(map[string]any{"bundle_for_time": 6})},
		{400, "bundle_for_time must be between 1 and 5, got 0", bundle(map[string]any{"bundle_for_time": nil})},
		{400, "log-file-count must be between 1 and 1000, got 0", bundle(map[string]any{"log_file_count": 0})},
		{400, "log-file-count must be between 1 and 1000, got 1001", bundle(map[string]any{"bundle_for": false, "log_file_count": 1001})},
		{400, "peer not connected", bundle(nil)},
	} {
		s.WantError(t, row.status, row.message, "POST", path, row.body)
	}
	s.WantError(t, 404, "peer not found: nope", "POST", "/api/peers/nope/jobs", bundle(nil))
	s.WantError(t, 404, "peer nope account not found", "GET", "/api/peers/nope/jobs", nil)
	check(200, "GET", "/api/peers/{peerId}/jobs", nil, peer)

	b.Sync(t)
	harness.Eventually(t, harness.CallLimit, "the peer is connected", func() error {
		if got, err := s.Peers.Get(t.Context(), peer); err != nil || !got.Connected {
			return fmt.Errorf("%v %v", got, err)
		}
		return nil
	})
	var made, got api.JobResponse
	check(200, "POST", "/api/peers/{peerId}/jobs", bundle(nil), peer).JSON(t, &made)
	if made.Status != "pending" || made.CompletedAt != nil || made.FailedReason != nil || made.TriggeredBy == "" {
		t.Errorf("%+v", made)
	}
	check(200, "GET", "/api/peers/{peerId}/jobs/{jobId}", nil, peer, made.Id).JSON(t, &got)
	workload, err := got.Workload.AsBundleWorkloadResponse()
	if err != nil || got.Id != made.Id || workload.Parameters.BundleForTime != 2 || workload.Parameters.LogFileCount != 10 || !workload.Parameters.Anonymize {
		t.Errorf("%+v %v", workload, err)
	}
	s.WantError(t, 400, "peer already has pending job", "POST", path, bundle(nil))
	s.WantError(t, 404, "job nope not found", "GET", path+"/nope", nil)
	if e := lastEvent(t, s.REST, "peer.job.create"); e.TargetId != peer || e.Meta["for_peer_name"] != s.Name || e.Meta["job_type"] != "bundle" {
		t.Errorf("%+v", e)
	}
	var list []api.JobResponse
	check(200, "GET", "/api/peers/{peerId}/jobs", nil, peer).JSON(t, &list)
	if len(list) != 1 || list[0].Id != made.Id {
		t.Errorf("%+v", list)
	}
	old := harness.NewBare(t, front(t, c), s.Name+"-old")
	old.Meta.NetbirdVersion = "0.63.0"
	old.Login(t, s.Key)
	s.WantError(t, 412, "peer version 0.63.0 does not meet the minimum required version 0.64.0 for remote jobs", "POST",
		"/api/peers/"+s.PeerID(t, s.Name+"-old")+"/jobs", bundle(nil))
}

// A browser gets a key of its own, sees the one peer and is seen by it; both ends are told.
func TestRESTTemporaryAccess(t *testing.T) {
	c := cluster(t)
	s := c.Lonely(t)
	check := described(t, s.REST)
	b := harness.NewBare(t, front(t, c), s.Name)
	b.Login(t, s.Key)
	peer := s.PeerID(t, s.Name)
	stream := b.Sync(t)
	stream.Next(t, harness.CallLimit)
	guest := harness.NewBare(t, front(t, c), "guest")
	body := func(change map[string]any) map[string]any {
		return with(map[string]any{"name": "guest of " + s.Name, "wg_pub_key": guest.PublicKey(), "rules": []string{"TCP/22", "udp/5-7", "netbird-ssh/22"}}, change)
	}
	for message, change := range map[string]map[string]any{
		"invalid rule: tcp/0":          {"rules": []string{"all", "tcp/0"}},
		"invalid rule: sctp/1":         {"rules": []string{"sctp/1"}},
		"invalid wireguard public key": {"wg_pub_key": "x"},
		"peer name shouldn't be empty": {"name": nil},
	} {
		s.WantError(t, 422, message, "POST", "/api/peers/"+peer+"/temporary-access", body(change))
	}
	check(400, "POST", "/api/peers/{peerId}/temporary-access", `{"rules":"all"}`, peer)
	s.WantError(t, 404, "peer not found: nope", "POST", "/api/peers/nope/temporary-access", body(nil))

	var made struct {
		ID, Name string
		Rules    []string
	}
	check(200, "POST", "/api/peers/{peerId}/temporary-access", body(nil), peer).JSON(t, &made)
	deleted := false
	defer func() {
		if !deleted {
			s.Do(t, "DELETE", "/api/peers/"+made.ID, nil)
		}
	}()
	if made.Name != "guest of "+s.Name || fmt.Sprint(made.Rules) != "[TCP/22 udp/5-7 netbird-ssh/22]" {
		t.Errorf("%+v", made)
	}
	s.WantError(t, 412, "peer has been already registered", "POST", "/api/peers/"+peer+"/temporary-access", body(nil))
	got, err := s.Peers.Get(t.Context(), made.ID)
	if err != nil || !got.Ephemeral || got.UserId == "" || !strings.HasPrefix(got.Os, "js") || len(got.Groups) != 1 || got.Groups[0].Name != "All" {
		t.Errorf("%+v %v", got, err)
	}
	policies, err := s.Policies.List(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	var protocols []string
	for _, p := range policies {
		if p.Name != "Temporary access policy for peer guest of "+s.Name {
			continue
		}
		r := p.Rules[0]
		if !p.Enabled || r.Bidirectional || r.Name != "Temporary access rule" || r.SourceResource.Id != made.ID || r.DestinationResource.Id != peer {
			t.Errorf("%+v", p)
		}
		protocols = append(protocols, string(r.Protocol))
	}
	if len(protocols) != 3 {
		t.Errorf("policies for %v", protocols)
	}

	// The browser's agent logs in with that key and no other credentials.
	sees := func(key string) func(*proto.SyncResponse) bool {
		return func(m *proto.SyncResponse) bool {
			for _, p := range m.GetNetworkMap().GetRemotePeers() {
				if p.GetWgPubKey() == key {
					return true
				}
			}
			return false
		}
	}
	stream.Until(t, harness.CallLimit, "the guest", sees(guest.PublicKey()))
	guest.Meta.GoOS, guest.Meta.Kernel, guest.Meta.OS = "js", "wasm", "js"
	guest.Login(t, "")
	theirs := guest.Sync(t)
	m, _ := theirs.Until(t, harness.CallLimit, "the peer", sees(b.PublicKey()))
	if n := len(m.GetNetworkMap().GetRemotePeers()); n != 1 {
		t.Errorf("the guest sees %d peers", n)
	}
	s.Want(t, 200, "DELETE", "/api/peers/"+made.ID, nil, nil)
	deleted = true
	stream.Until(t, harness.CallLimit, "a map without the guest", func(m *proto.SyncResponse) bool {
		return m.GetNetworkMap() != nil && !sees(guest.PublicKey())(m)
	})
	policies, err = s.Policies.List(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	for _, p := range policies {
		if p.Name == "Temporary access policy for peer guest of "+s.Name {
			t.Errorf("policy %s has stayed", *p.Id)
		}
	}
}
