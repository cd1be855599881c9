package system

import (
	"context"
	"crypto/sha256"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/netbirdio/netbird/shared/management/http/api"
	"github.com/netbirdio/netbird/shared/management/proto"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"rookery.test/system/harness"
)

// Sign-in with an external provider's tokens, on two replicas of each service in turn. The numbers are those of the acceptance
// cases of identity, and of the management protocol where a name says so.

// somebody is a subject that no other test uses.
func somebody(name string) string {
	return fmt.Sprintf("%s-%d", name, time.Now().UnixNano())
}

// signedIn opens the replicas that believe an issuer of the test's own.
func signedIn(t *testing.T) *harness.SSO {
	t.Helper()
	c := cluster(t)
	needsProcesses(t, c)
	return c.SSO(t, harness.NewIssuer(t), nil)
}

// peerOf is what REST says of the peer with that key, asked by its owner.
func peerOf(t *testing.T, c *harness.Cluster, b *harness.Bare) api.Peer {
	t.Helper()
	peers, err := c.REST().Peers.List(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	n := slices.IndexFunc(peers, func(p api.Peer) bool { return p.Name == b.Meta.Hostname })
	if n < 0 {
		t.Fatalf("no peer %s", b.Meta.Hostname)
	}
	return peers[n]
}

// S4.
func TestIdentity05TokenLogsInOnce(t *testing.T) {
	s := signedIn(t)
	who := somebody("once")
	s.Admit(t, who)
	for range 5 {
		token := s.Issuer.Token(t, who, nil)
		var wg sync.WaitGroup
		errs := make([]error, 4)
		for n := range errs {
			b := s.Bare(t, somebody("once"))
			wg.Go(func() { _, errs[n] = b.TokenLogin(t.Context(), token) })
		}
		wg.Wait()
		good := 0
		for _, err := range errs {
			if err == nil {
				good++
			} else {
				harness.WantStatus(t, err, codes.Unauthenticated, "JWT already used")
			}
		}
		if good != 1 {
			t.Errorf("%d logins with one token", good)
		}
		b := s.Bare(t, somebody("once"))
		_, err := b.TokenLogin(t.Context(), token)
		harness.WantStatus(t, err, codes.Unauthenticated, "JWT already used")
		_, err = b.Extend(t.Context(), token)
		harness.WantStatus(t, err, codes.Unauthenticated, "JWT already used")
		for range 3 { // REST counts no uses
			s.REST(token).Want(t, 200, "GET", "/api/users/current", nil, nil)
		}
	}
}

// A replica dies when it has taken the token and not yet done what it is for, or when that is done and not yet said. The agent
// asks another one with the same token, which is good for it and for nobody else.
func TestTokenSurvivesAReplicaAtEveryStep(t *testing.T) {
	s := signedIn(t)
	who := somebody("survivor")
	s.Admit(t, who)
	alive := s.Management[0].Listen
	login := func(b *harness.Bare, token string) error { _, err := b.TokenLogin(t.Context(), token); return err }
	extend := func(b *harness.Bare, token string) error { _, err := b.Extend(t.Context(), token); return err }
	b := harness.NewBare(t, alive, who)
	for _, step := range []struct {
		what string
		do   func(b *harness.Bare, token string) error
	}{{"the peer registers", login}, {"it logs in again", login}, {"its session is extended", extend}} {
		t.Run(step.what, func(t *testing.T) {
			token := s.Issuer.Token(t, who, nil)
			hash := sha256.Sum256([]byte(token[:strings.LastIndexByte(token, '.')]))
			doomed := s.Management[0].Twin(t, s.Issuer.Settings())
			release := s.Hold(t, "SELECT 1 FROM account FOR UPDATE")
			over := make(chan error, 1)
			go func() { over <- step.do(b.At(t, doomed.Listen), token) }()
			harness.Eventually(t, 10*time.Second, "the token is taken", func() error {
				if n := s.SQL(t, fmt.Sprintf("SELECT count(*) FROM used_token WHERE hash = '\\x%x'", hash)); n != "1" {
					return fmt.Errorf("%s rows", n)
				}
				return nil
			})
			doomed.Kill(t)
			release()
			if err := <-over; err == nil {
				t.Fatal("it went well though the replica had died")
			}
			_, err := s.Bare(t, somebody("thief")).TokenLogin(t.Context(), token)
			harness.WantStatus(t, err, codes.Unauthenticated, "JWT already used")
			for _, when := range []string{"died before it was done", "died before it could say so"} {
				if err := step.do(b, token); err != nil {
					t.Errorf("when the first replica %s: %v", when, err)
				}
			}
			_, err = s.Bare(t, somebody("thief")).TokenLogin(t.Context(), token)
			harness.WantStatus(t, err, codes.Unauthenticated, "JWT already used")
			s.SQL(t, "UPDATE used_token SET claimed_at = claimed_at - interval '6 minutes'")
			harness.WantStatus(t, step.do(b, token), codes.Unauthenticated, "JWT already used")
		})
	}
	if n := s.SQL(t, fmt.Sprintf("SELECT count(*) FROM event WHERE code = 'peer.user.add' AND initiator_id = '%s'", who)); n != "1" {
		t.Errorf("the peer was made %s times", n)
	}
}

func TestManagement11And12LoginWithToken(t *testing.T) {
	s := signedIn(t)
	who, other := somebody("owner"), somebody("other")
	s.Admit(t, who)
	s.Admit(t, other)
	uses := s.SQL(t, "SELECT coalesce(sum(used_times), 0) FROM setup_key")
	b := s.Bare(t, somebody("token"))
	_, err := b.TryLogin(t.Context(), "")
	harness.WantStatus(t, err, codes.PermissionDenied, "no peer auth method provided, please use a setup key or interactive SSO login")
	before := time.Now()
	in, err := b.TokenLogin(t.Context(), s.Issuer.Token(t, who, nil))
	if err != nil {
		t.Fatal(err)
	}
	deadline := in.GetSessionExpiresAt().AsTime()
	if from := deadline.Add(-24 * time.Hour); from.Before(before.Add(-2*time.Second)) || from.After(time.Now().Add(2*time.Second)) {
		t.Errorf("the session ends at %v", deadline)
	}
	p := peerOf(t, s.Cluster, b)
	if p.UserId != who || !p.LoginExpirationEnabled || !p.InactivityExpirationEnabled {
		t.Errorf("peer %+v", p)
	}
	if now := s.SQL(t, "SELECT coalesce(sum(used_times), 0) FROM setup_key"); now != uses {
		t.Errorf("%s uses of setup keys after %s", now, uses)
	}
	if n := s.SQL(t, fmt.Sprintf("SELECT count(*) FROM event WHERE code = 'peer.user.add' AND initiator_id = '%s'", who)); n != "1" {
		t.Errorf("%s events", n)
	}
	// Case 12, and a peer that came by setup key.
	const taken = "peer is already registered by a different User or a Setup Key"
	_, err = b.TokenLogin(t.Context(), s.Issuer.Token(t, other, nil))
	harness.WantStatus(t, err, codes.PermissionDenied, taken)
	keyed := s.Bare(t, somebody("keyed"))
	keyed.Login(t, s.Cluster.Space(t).Key)
	_, err = keyed.TokenLogin(t.Context(), s.Issuer.Token(t, who, nil))
	harness.WantStatus(t, err, codes.PermissionDenied, taken)
	// Bad tokens, and what is said of them.
	for name, claims := range map[string]map[string]any{
		"expired": {"exp": time.Now().Unix() - 1}, "audience": {"aud": "others"}, "issuer": {"iss": s.Issuer.URL + "/"},
		"no user": {"sub": ""}, "future": {"nbf": time.Now().Unix() + 3600},
	} {
		_, err = s.Bare(t, somebody("bad")).TokenLogin(t.Context(), s.Issuer.Token(t, who, claims))
		if st, _ := status.FromError(err); st.Code() != codes.InvalidArgument || len(st.Message()) < 24 || st.Message()[:24] != "invalid jwt token, err: " {
			t.Errorf("%s: %v", name, err)
		}
		a := s.REST(s.Issuer.Token(t, who, claims)).Do(t, "GET", "/api/peers", nil)
		if err := a.Error(401, "token invalid"); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// expire makes the peer's login a day old, as time would.
func expire(t *testing.T, c *harness.Cluster, peer string) {
	t.Helper()
	c.SQL(t, fmt.Sprintf(`WITH p AS (UPDATE peer SET last_login = clock_timestamp() - make_interval(secs => 86401) WHERE id = '%s'
		RETURNING id, account_id) INSERT INTO due SELECT 'login', id, account_id, clock_timestamp() FROM p
		ON CONFLICT (kind, object_id) DO UPDATE SET at = excluded.at`, peer))
	touch(t, c, peer)
}

func TestManagement14LoginAgainAfterExpiry(t *testing.T) {
	s := signedIn(t)
	who := somebody("again")
	s.Admit(t, who)
	b := s.Bare(t, somebody("again"))
	if _, err := b.TokenLogin(t.Context(), s.Issuer.Token(t, who, nil)); err != nil {
		t.Fatal(err)
	}
	id := peerOf(t, s.Cluster, b).Id
	stream := b.Sync(t)
	stream.Next(t, 5*time.Second)
	expire(t, s.Cluster, id)
	if _, err := stream.End(t, 5*time.Second); err != nil {
		t.Errorf("the stream ended with %v", err)
	}
	refused(t, b, codes.PermissionDenied, loginExpired)
	in, err := b.TokenLogin(t.Context(), s.Issuer.Token(t, who, nil))
	if err != nil {
		t.Fatal(err)
	}
	if left := time.Until(in.GetSessionExpiresAt().AsTime()); left < 24*time.Hour-10*time.Second {
		t.Errorf("the new session ends in %v", left)
	}
	for range 2 { // at each replica
		if _, err := b.TryLogin(t.Context(), ""); err != nil {
			t.Errorf("login without a token: %v", err)
		}
	}
	m := b.Sync(t).Next(t, 5*time.Second)
	if left := time.Until(m.GetSessionExpiresAt().AsTime()); left < 24*time.Hour-10*time.Second {
		t.Errorf("Sync says that it ends in %v", left)
	}
}

func TestIdentity16ExtendSession(t *testing.T) {
	s := signedIn(t)
	who, other := somebody("long"), somebody("other")
	s.Admit(t, who)
	s.Admit(t, other)
	b := s.Bare(t, somebody("long"))
	in, err := b.TokenLogin(t.Context(), s.Issuer.Token(t, who, nil))
	if err != nil {
		t.Fatal(err)
	}
	id := peerOf(t, s.Cluster, b).Id
	stream := b.Sync(t)
	first := stream.Next(t, 5*time.Second)
	s.SQL(t, fmt.Sprintf("UPDATE peer SET last_login = last_login - interval '23 hours' WHERE id = '%s'", id))
	touch(t, s.Cluster, id)
	soon := func(m *proto.SyncResponse) bool { return time.Until(m.GetSessionExpiresAt().AsTime()) < 2*time.Hour }
	stream.Until(t, 10*time.Second, "a deadline in an hour", soon)
	_, err = b.Extend(t.Context(), "")
	harness.WantStatus(t, err, codes.InvalidArgument, "jwt token is required")
	_, err = b.Extend(t.Context(), s.Issuer.Token(t, other, nil))
	harness.WantStatus(t, err, codes.PermissionDenied, "peer is already registered by a different User or a Setup Key")
	longer, err := b.Extend(t.Context(), s.Issuer.Token(t, who, nil))
	if err != nil {
		t.Fatal(err)
	}
	if was, is := in.GetSessionExpiresAt().AsTime(), longer.GetSessionExpiresAt().AsTime(); !is.After(was) {
		t.Errorf("the deadline was %v and is %v", was, is)
	}
	// The stream goes on and learns of it; the map says nothing new but that.
	m, _ := stream.Until(t, 5*time.Second, "the new deadline", func(m *proto.SyncResponse) bool { return !soon(m) })
	if !m.GetSessionExpiresAt().AsTime().Equal(longer.GetSessionExpiresAt().AsTime()) ||
		m.GetPeerConfig().GetAddress() != first.GetPeerConfig().GetAddress() {
		t.Errorf("the stream says %v", m.GetSessionExpiresAt().AsTime())
	}
	if n := s.SQL(t, fmt.Sprintf("SELECT count(*) FROM event WHERE code = 'user.peer.session.extend' AND target_id = '%s'", id)); n != "1" {
		t.Errorf("%s events", n)
	}
	// The second half of management's case 28, and an unknown peer.
	keyed := s.Bare(t, somebody("keyed"))
	if in := keyed.Login(t, s.Cluster.Space(t).Key); in.SessionExpiresAt == nil || in.SessionExpiresAt.Seconds != 0 {
		t.Errorf("a peer by setup key has the deadline %v", in.SessionExpiresAt)
	}
	_, err = keyed.Extend(t.Context(), s.Issuer.Token(t, who, nil))
	harness.WantStatus(t, err, codes.FailedPrecondition, "peer is not eligible for session extension")
	_, err = s.Bare(t, "nobody").Extend(t.Context(), s.Issuer.Token(t, who, nil))
	harness.WantStatus(t, err, codes.NotFound, "account not found: index lookup failed")
	// Where logins do not expire there is nothing to extend; the field is there, and empty.
	setSettings(t, s.Cluster, map[string]any{"peer_login_expiration_enabled": false})
	_, err = b.Extend(t.Context(), s.Issuer.Token(t, who, nil))
	harness.WantStatus(t, err, codes.FailedPrecondition, "peer login expiration is disabled for the account")
	if in, err := b.TokenLogin(t.Context(), s.Issuer.Token(t, who, nil)); err != nil || in.SessionExpiresAt == nil || in.SessionExpiresAt.Seconds != 0 {
		t.Errorf("login where logins do not expire: %v %v", in.GetSessionExpiresAt(), err)
	}
}

// setSettings changes settings of the account until the test is over; `extra` is merged, too.
func setSettings(t *testing.T, c *harness.Cluster, change map[string]any) {
	t.Helper()
	r := c.REST()
	var accounts []struct {
		ID       string         `json:"id"`
		Settings map[string]any `json:"settings"`
	}
	r.Want(t, 200, "GET", "/api/accounts", nil, &accounts)
	old := accounts[0].Settings
	settings := map[string]any{}
	for name, value := range old {
		settings[name] = value
	}
	for name, value := range change {
		settings[name] = value
	}
	put := func(v map[string]any) map[string]any { return map[string]any{"settings": v} }
	r.Want(t, 200, "PUT", "/api/accounts/"+accounts[0].ID, put(settings), nil)
	t.Cleanup(func() { _, _ = r.Try(context.Background(), "PUT", "/api/accounts/"+accounts[0].ID, put(old)) })
}

// Case 12, its part without a browser: whoever comes after the owner waits, and is let in or sent away.
func TestIdentity12NewcomerWaits(t *testing.T) {
	s := signedIn(t)
	who := somebody("new")
	token := func() string { return s.Issuer.Token(t, who, nil) }
	s.REST(token()).WantError(t, 403, "user is pending approval", "GET", "/api/users/current", nil)
	s.REST(token()).WantError(t, 403, "failed to validate user permissions: user is pending approval", "GET", "/api/policies", nil)
	b := s.Bare(t, somebody("new"))
	_, err := b.TokenLogin(t.Context(), token())
	harness.WantStatus(t, err, codes.PermissionDenied, "user pending approval cannot add peers")
	owner := s.Cluster.REST()
	owner.Want(t, 200, "DELETE", "/api/users/"+who+"/reject", nil, nil)
	// A token from before does not bring them back; a new one does, to wait again.
	if n := s.SQL(t, fmt.Sprintf("SELECT count(*) FROM users WHERE id = '%s'", who)); n != "0" {
		t.Fatalf("%s users after the rejection", n)
	}
	early := s.Issuer.Token(t, who, map[string]any{"iat": time.Now().Unix() - 30})
	s.REST(early).WantError(t, 401, "token invalid", "GET", "/api/users/current", nil)
	late := s.Issuer.Token(t, who, map[string]any{"iat": time.Now().Unix() + 30})
	s.REST(late).WantError(t, 403, "user is pending approval", "GET", "/api/users/current", nil)
	owner.Want(t, 200, "POST", "/api/users/"+who+"/approve", nil, nil)
	t.Cleanup(func() { _, _ = owner.Try(context.Background(), "DELETE", "/api/users/"+who, nil) })
	var me struct {
		ID, Role, Email, Name, Status string
		IsCurrent                     bool      `json:"is_current"`
		LastLogin                     time.Time `json:"last_login"`
	}
	s.REST(late).Want(t, 200, "GET", "/api/users/current", nil, &me)
	if me.ID != who || me.Role != "user" || me.Email != who+"@team.test" || me.Name != who || me.Status != "active" || !me.IsCurrent {
		t.Errorf("%+v", me)
	}
	if _, err := b.TokenLogin(t.Context(), token()); err != nil {
		t.Errorf("login once let in: %v", err)
	}
}

func TestIdentity14GroupsOfToken(t *testing.T) {
	s := signedIn(t)
	who := somebody("grouped")
	s.Admit(t, who)
	owner := s.Cluster.REST()
	red, blue, ours := somebody("red"), somebody("blue"), somebody("ours")
	clash, err := owner.Groups.Create(t.Context(), api.GroupRequest{Name: ours})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		s.SQLAfter("DELETE FROM account_group WHERE issued = 'jwt'")
		_ = owner.Groups.Delete(context.Background(), clash.Id)
	})
	b := s.Bare(t, somebody("grouped"))
	if _, err := b.TokenLogin(t.Context(), s.Issuer.Token(t, who, nil)); err != nil {
		t.Fatal(err)
	}
	setSettings(t, s.Cluster, map[string]any{"jwt_groups_enabled": true, "jwt_groups_claim_name": "teams"})
	come := func(teams any) {
		t.Helper()
		s.REST(s.Issuer.Token(t, who, map[string]any{"teams": teams})).Want(t, 200, "GET", "/api/users/current", nil, nil)
	}
	// want tells what groups of these the user and its peer are in.
	want := func(names ...string) {
		t.Helper()
		groups, err := owner.Groups.List(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		var user struct {
			Groups []string `json:"auto_groups"`
		}
		s.REST(s.Issuer.Token(t, who, nil)) // asks nothing: a token without the claim would take the groups away
		var users []struct {
			ID     string
			Groups []string `json:"auto_groups"`
		}
		owner.Want(t, 200, "GET", "/api/users", nil, &users)
		for _, u := range users {
			if u.ID == who {
				user.Groups = u.Groups
			}
		}
		peer := peerOf(t, s.Cluster, b)
		for _, g := range groups {
			if g.Name != red && g.Name != blue && g.Name != ours {
				continue
			}
			in := slices.Contains(names, g.Name)
			if slices.Contains(user.Groups, g.Id) != in {
				t.Errorf("user in %s: %v", g.Name, !in)
			}
			if slices.ContainsFunc(peer.Groups, func(m api.GroupMinimum) bool { return m.Id == g.Id }) != in {
				t.Errorf("peer in %s: %v", g.Name, !in)
			}
			if issued := string(*g.Issued); (issued == "jwt") != (g.Name != ours) {
				t.Errorf("%s is issued by %s", g.Name, issued)
			}
		}
	}
	come([]any{red, ours, 7})
	want(red)
	come(blue) // a string is one group
	want(blue)
	come([]any{red, blue})
	want(red, blue)
	come([]any{})
	want()
	// An agent's login follows too, before its peer is registered.
	late := s.Bare(t, somebody("late"))
	if _, err := late.TokenLogin(t.Context(), s.Issuer.Token(t, who, map[string]any{"teams": red})); err != nil {
		t.Fatal(err)
	}
	want(red)
	if p := peerOf(t, s.Cluster, late); !slices.ContainsFunc(p.Groups, func(m api.GroupMinimum) bool { return m.Name == red }) {
		t.Errorf("the new peer is in %v", p.Groups)
	}
	come(nil) // no claim: no groups
	want()

	setSettings(t, s.Cluster, map[string]any{"jwt_groups_enabled": true, "jwt_groups_claim_name": "teams", "jwt_allow_groups": []string{blue}})
	for _, groups := range []any{nil, red, []any{red}} {
		token := s.Issuer.Token(t, who, map[string]any{"teams": groups})
		s.REST(token).WantError(t, 401, "token invalid", "GET", "/api/users/current", nil)
		_, err := b.TokenLogin(t.Context(), token)
		harness.WantStatus(t, err, codes.PermissionDenied, "user does not belong to any of the allowed JWT groups")
	}
	come([]any{red, blue})
	want(red, blue)
	s.Cluster.REST().Want(t, 200, "GET", "/api/users/current", nil, nil) // a local user, by access token
}

func TestIdentity15BlockedUser(t *testing.T) {
	s := signedIn(t)
	who := somebody("blocked")
	s.Admit(t, who)
	peers := [2]*harness.Bare{harness.NewBare(t, s.Management[0].Listen, somebody("one")),
		harness.NewBare(t, s.Management[1].Listen, somebody("two"))}
	var streams [2]*harness.Stream
	for n, b := range peers {
		if _, err := b.TokenLogin(t.Context(), s.Issuer.Token(t, who, nil)); err != nil {
			t.Fatal(err)
		}
		streams[n] = b.Sync(t)
		streams[n].Next(t, 5*time.Second)
	}
	keyed := s.Bare(t, somebody("keyed"))
	keyed.Login(t, s.Cluster.Space(t).Key)
	stays := keyed.Sync(t)
	stays.Next(t, 5*time.Second)
	owner := s.Cluster.REST()
	put := func(blocked bool) {
		t.Helper()
		owner.Want(t, 200, "PUT", "/api/users/"+who, map[string]any{"role": "user", "auto_groups": []string{}, "is_blocked": blocked}, nil)
	}
	put(true)
	begin := time.Now()
	for n, stream := range streams {
		if _, err := stream.End(t, 2*time.Second); err != nil {
			t.Errorf("stream %d ended with %v", n, err)
		}
	}
	t.Logf("both streams had ended %v after the answer", time.Since(begin).Round(time.Millisecond))
	for _, b := range peers {
		refused(t, b, codes.PermissionDenied, "user is blocked")
		_, err := b.TokenLogin(t.Context(), s.Issuer.Token(t, who, nil))
		harness.WantStatus(t, err, codes.PermissionDenied, "user is blocked")
		_, err = b.Extend(t.Context(), s.Issuer.Token(t, who, nil))
		harness.WantStatus(t, err, codes.PermissionDenied, "user is blocked")
	}
	_, err := s.Bare(t, somebody("third")).TokenLogin(t.Context(), s.Issuer.Token(t, who, nil))
	harness.WantStatus(t, err, codes.PermissionDenied, "user is blocked")
	s.REST(s.Issuer.Token(t, who, nil)).WantError(t, 403, "user is blocked", "GET", "/api/users/current", nil)
	stays.Quiet(t, 300*time.Millisecond)
	if _, err := keyed.TryLogin(t.Context(), ""); err != nil {
		t.Errorf("the peer by setup key: %v", err)
	}
	put(false)
	// Whoever is let in again signs in again, once each replica has heard of it.
	for _, b := range peers {
		harness.Eventually(t, 5*time.Second, "the user is let in", func() error {
			_, err := b.TryLogin(t.Context(), "")
			if st, _ := status.FromError(err); st.Message() != loginExpired {
				return fmt.Errorf("login says %v", err)
			}
			return nil
		})
	}
	for n, b := range peers {
		if _, err := b.TokenLogin(t.Context(), s.Issuer.Token(t, who, nil)); err != nil {
			t.Errorf("login %d once unblocked: %v", n, err)
			continue
		}
		b.Sync(t).Next(t, 5*time.Second)
	}
}

func TestSignInFlows(t *testing.T) {
	s := signedIn(t)
	for range 2 {
		b := s.Bare(t, "flows")
		pkce, err := b.PKCE(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		p := pkce.GetProviderConfig()
		if p.GetClientID() != "agent" || p.GetTokenEndpoint() != s.Issuer.URL+"/token" || p.GetAuthorizationEndpoint() != s.Issuer.URL+"/authorize" ||
			p.GetScope() == "" || len(p.GetRedirectURLs()) == 0 {
			t.Errorf("PKCE %v", p)
		}
		device, err := b.Device(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		d := device.GetProviderConfig()
		if device.GetProvider() != proto.DeviceAuthorizationFlow_HOSTED || d.GetClientID() != "agent" || d.GetAudience() != harness.Audience ||
			d.GetDeviceAuthEndpoint() != s.Issuer.URL+"/device" || d.GetTokenEndpoint() != s.Issuer.URL+"/token" {
			t.Errorf("device %v", device)
		}
	}
}

// A real agent that is given a token registers, and is in the mesh with one that came by setup key.
func TestAgentLogsInWithToken(t *testing.T) {
	s := signedIn(t)
	space := s.Cluster.Space(t)
	who := somebody("agent")
	s.Admit(t, who)
	s.Cluster.REST().Want(t, 200, "PUT", "/api/users/"+who, map[string]any{"role": "user", "auto_groups": []string{space.Group}, "is_blocked": false}, nil)
	one := harness.NewTokenAgent(t, "by-token", s.Issuer.Token(t, who, nil), s.ManagementURL)
	one.Up(t)
	two := harness.StartAgent(t, "by-key", space.Key, s.ManagementURL)
	one.Connected(t, two, harness.AnyPath, 30*time.Second)
}

// A provider that does not answer costs its own users a wait, and nobody else anything.
func TestProviderThatDoesNotAnswer(t *testing.T) {
	c := cluster(t)
	needsProcesses(t, c)
	issuer := harness.NewIssuer(t)
	issuer.Hold()
	s := c.SSO(t, issuer, nil)
	who := somebody("patient")
	token := issuer.Token(t, who, nil)
	answers := make(chan *harness.Answer, 40)
	for range cap(answers) {
		go func() {
			a, err := s.REST(token).Try(context.Background(), "GET", "/api/users/current", nil)
			if err != nil {
				a = &harness.Answer{}
			}
			answers <- a
		}()
	}
	owner := harness.NewREST(s.APIURL, c.Token)
	space := c.Space(t)
	for n := range 20 {
		begin := time.Now()
		owner.Want(t, 200, "GET", "/api/groups", nil, nil)
		if n < 4 {
			s.Bare(t, somebody("quick")).Login(t, space.Key)
		}
		if took := time.Since(begin); took > time.Second {
			t.Errorf("a request of somebody else took %v", took)
		}
	}
	select {
	case a := <-answers:
		t.Errorf("a token was answered without keys: %d %s", a.Status, a.Body)
	default:
	}
	issuer.Release()
	t.Cleanup(func() { _, _ = c.REST().Try(context.Background(), "DELETE", "/api/users/"+who, nil) })
	for range cap(answers) {
		a := <-answers
		if err := a.Error(403, "user is pending approval"); err != nil {
			t.Error(err)
		}
	}
	if n := c.SQL(t, fmt.Sprintf("SELECT count(*) FROM users WHERE id = '%s'", who)); n != "1" {
		t.Errorf("%s users", n)
	}
	// Keys that change are found by the first token with the new one.
	issuer.Rotate(t)
	asked := issuer.Asked("/keys")
	for range 6 {
		a := s.REST(issuer.Token(t, who, nil)).Do(t, "GET", "/api/users/current", nil)
		if err := a.Error(403, "user is pending approval"); err != nil {
			t.Error(err)
		}
	}
	if more := issuer.Asked("/keys") - asked; more != 2 { // once by each replica of dashboard-api
		t.Errorf("the keys were fetched %d times", more)
	}
}

// The cases of REST once more, by somebody who signed in and owns the account; but for the setup, which is the embedded
// provider's.
func TestRESTCasesWithToken(t *testing.T) {
	s := signedIn(t)
	who := somebody("boss")
	s.Admit(t, who)
	c := s.Cluster
	was := c.SQL(t, "SELECT id FROM users WHERE role = 'owner'")
	give := func(from, to string) string {
		return fmt.Sprintf("UPDATE users SET role = 'admin' WHERE id = '%s'; UPDATE users SET role = 'owner' WHERE id = '%s'", from, to)
	}
	c.SQL(t, give(was, who))
	url, token := c.APIURL, c.Token
	c.APIURL, c.Token, c.Bearer = s.APIURL, s.Issuer.Token(t, who, nil), true
	t.Cleanup(func() {
		c.APIURL, c.Token, c.Bearer = url, token, false
		c.SQLAfter(give(who, was))
	})
	for _, test := range []struct {
		name string
		run  func(*testing.T)
	}{
		{"04-05", TestREST04And05NotFound}, {"06", TestREST06Preflight},
		{"10-12", TestREST10To12Accounts}, {"13", TestREST13CurrentUser}, {"14", TestREST14WhoSeesNoPeers}, {"15-20", TestREST15To20Groups},
		{"21-22", TestREST21And22Policies}, {"22", TestREST22APolicyIsInTheTrail}, {"23-25", TestREST23To25SetupKeys}, {"26", TestREST26Routes},
		{"27", TestREST27Nameservers}, {"28", TestREST28Networks}, {"29", TestREST29Zones}, {"30", TestREST30Tokens},
		{"30s", TestREST30ServiceUsersTokens},
	} {
		t.Run(test.name, test.run)
	}
}
