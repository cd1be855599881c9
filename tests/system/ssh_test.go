package system

import (
	"context"
	"fmt"
	"net/netip"
	"slices"
	"testing"
	"time"

	nbssh "github.com/netbirdio/netbird/client/ssh"
	sshauth "github.com/netbirdio/netbird/client/ssh/auth"
	sshserver "github.com/netbirdio/netbird/client/ssh/server"
	"github.com/netbirdio/netbird/shared/management/http/api"
	"github.com/netbirdio/netbird/shared/management/proto"
	sshuserhash "github.com/netbirdio/netbird/shared/sshauth"
	"golang.org/x/crypto/ssh"
	"rookery.test/system/harness"
)

// serveSSH runs the agent's own SSH server as the map configures it, and returns its address.
func serveSSH(t *testing.T, m *proto.SyncResponse) string {
	t.Helper()
	config := m.GetPeerConfig().GetSshConfig()
	tokens := config.GetJwtConfig()
	if !config.GetSshEnabled() || tokens == nil {
		t.Fatalf("SSH is %v, with %v", config.GetSshEnabled(), tokens)
	}
	key, err := nbssh.GeneratePrivateKey(nbssh.ED25519)
	if err != nil {
		t.Fatal(err)
	}
	server := sshserver.New(&sshserver.Config{HostKeyPEM: key, JWT: &sshserver.JWTConfig{Issuer: tokens.GetIssuer(),
		KeysLocation: tokens.GetKeysLocation(), MaxTokenAge: tokens.GetMaxTokenAge(), Audiences: tokens.GetAudiences()}})
	server.SetAllowRootLogin(true)
	may := m.GetNetworkMap().GetSshAuth()
	auth := &sshauth.Config{UserIDClaim: may.GetUserIDClaim(), MachineUsers: map[string][]uint32{}}
	for _, hash := range may.GetAuthorizedUsers() {
		auth.AuthorizedUsers = append(auth.AuthorizedUsers, sshuserhash.UserIDHash(hash))
	}
	for name, users := range may.GetMachineUsers() {
		auth.MachineUsers[name] = users.GetIndexes()
	}
	server.UpdateSSHAuth(auth)
	at := netip.AddrPortFrom(netip.MustParseAddr("127.0.0.1"), uint16(harness.FreePort(t)))
	ctx, cancel := context.WithCancel(context.Background())
	if err := server.Start(ctx, at); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = server.Stop()
		cancel()
	})
	return at.String()
}

func dialSSH(address, user, token string) error {
	client, err := ssh.Dial("tcp", address, &ssh.ClientConfig{User: user, Auth: []ssh.AuthMethod{ssh.Password(token)},
		HostKeyCallback: ssh.InsecureIgnoreHostKey(), Timeout: 5 * time.Second})
	if err == nil {
		_ = client.Close()
	}
	return err
}

// The agent's SSH server, configured by the map, lets in whom a rule authorises, by a fresh token of either audience alone.
func TestIdentity17SSH(t *testing.T) {
	s := signedIn(t)
	space := s.Cluster.Lonely(t)
	owner := s.Cluster.REST()
	may, mayNot := somebody("may"), somebody("may-not")
	s.Admit(t, may)
	s.Admit(t, mayNot)
	owner.Want(t, 200, "PUT", "/api/users/"+may, map[string]any{"role": "user", "auto_groups": []string{space.Group}, "is_blocked": false}, nil)
	groups := []string{space.Group}
	rule := api.PolicyRuleUpdate{Name: "ssh", Enabled: true, Action: "accept", Protocol: "netbird-ssh", Bidirectional: false,
		Sources: &groups, Destinations: &groups, AuthorizedGroups: &map[string][]string{space.Group: {"root"}}}
	space.AddPolicy(t, rule)
	host := s.Bare(t, somebody("host"))
	host.Login(t, space.Key)
	var m *proto.SyncResponse
	stream := host.Sync(t)
	m, _ = stream.Until(t, 10*time.Second, "how tokens are checked", func(m *proto.SyncResponse) bool {
		return m.GetPeerConfig().GetSshConfig().GetJwtConfig() != nil
	})
	config := m.GetPeerConfig().GetSshConfig().GetJwtConfig()
	if config.GetIssuer() != s.Issuer.URL || config.GetKeysLocation() != s.Issuer.URL+"/keys" || config.GetMaxTokenAge() != 0 ||
		config.GetAudience() != "ssh" || !slices.Equal(config.GetAudiences(), []string{harness.Audience, "ssh"}) {
		t.Errorf("JWTConfig %v", config)
	}
	if claim := m.GetNetworkMap().GetSshAuth().GetUserIDClaim(); claim != "sub" {
		t.Errorf("the claim of the user is %q", claim)
	}
	if again := host.Login(t, ""); again.GetPeerConfig().GetSshConfig().GetJwtConfig().GetIssuer() != s.Issuer.URL {
		t.Errorf("Login says %v", again.GetPeerConfig().GetSshConfig())
	}
	address := serveSSH(t, m)
	old := time.Now().Unix() - 601
	for _, c := range []struct {
		what, user, subject string
		claims              map[string]any
		good                bool
	}{
		{"a fresh token", "root", may, nil, true},
		{"the other audience", "root", may, map[string]any{"aud": "ssh"}, true},
		{"somebody who is not authorised", "root", mayNot, nil, false},
		{"a user of the machine that is not theirs", "daemon", may, nil, false},
		{"an old token", "root", may, map[string]any{"iat": old}, false},
		{"a token without its time", "root", may, map[string]any{"iat": nil}, false},
		{"another audience", "root", may, map[string]any{"aud": "others"}, false},
		{"another issuer", "root", may, map[string]any{"iss": "http://127.0.0.1:1"}, false},
	} {
		err := dialSSH(address, c.user, s.Issuer.Token(t, c.subject, c.claims))
		if (err == nil) != c.good {
			t.Errorf("%s: %v", c.what, err)
		}
	}
	// Whoever is blocked is not authorised any more.
	owner.Want(t, 200, "PUT", "/api/users/"+may, map[string]any{"role": "user", "auto_groups": groups, "is_blocked": true}, nil)
	m, _ = stream.Until(t, 5*time.Second, "nobody who may", func(m *proto.SyncResponse) bool {
		return m.GetNetworkMap() != nil && len(m.GetNetworkMap().GetSshAuth().GetAuthorizedUsers()) == 0
	})
	if err := dialSSH(serveSSH(t, m), "root", s.Issuer.Token(t, may, nil)); err == nil {
		t.Error(fmt.Errorf("a blocked user was let in"))
	}
}
