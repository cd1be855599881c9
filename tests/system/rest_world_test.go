package system

import (
	"context"
	"encoding/json"
	"fmt"
	"strings"
	"testing"
	"time"

	"rookery.test/system/harness"
)

// A world has one object of every kind, and a good body for every operation that takes one.
type world struct {
	*harness.Space
	ids      map[string]string // by the names in paths
	settings map[string]any    // of the account
	address  string            // of the peer
	made     int
	upstream *harness.Upstream // an identity provider to connect to
	direct   *harness.REST     // past the front, so that a request may come from anywhere
	t        *testing.T
}

// asker is who sends a request: where strangers are counted, one who is believed to come from elsewhere.
func (w *world) asker(op harness.Operation) *harness.REST {
	if op.Public {
		return w.direct
	}
	return w.REST
}

type object = map[string]any

func newWorld(t *testing.T, c *harness.Cluster) *world {
	t.Helper()
	w := &world{Space: c.Space(t), direct: apiReplicas(c, c.Token)[0], upstream: harness.NewUpstream(t, "world"), t: t, ids: map[string]string{"country": "DE", "jobId": "nope", "idpId": "nope", "serviceId": "nope",
		"domainId": "nope", "clusterAddress": "nope", "token": "nope", "integrationId": "999999999"}}
	var accounts []struct {
		ID       string
		Settings map[string]any
	}
	w.Want(t, 200, "GET", "/api/accounts", nil, &accounts)
	w.ids["accountId"], w.settings = accounts[0].ID, accounts[0].Settings
	peer := harness.NewBare(t, front(t, c), "world")
	login := peer.Login(t, w.Key)
	w.address, _, _ = strings.Cut(login.GetPeerConfig().GetAddress(), "/")
	peer.Sync(t).Next(t, 5*time.Second) // it stays connected
	w.ids["peerId"] = w.PeerID(t, "world")
	w.ids["userId"] = c.Robot(t, "user").ID
	for _, step := range []struct{ name, collection string }{
		{"groupId", "/api/groups"}, // first: it goes last, when it has no resource any more
		{"networkId", "/api/networks"},
		{"resourceId", "/api/networks/{networkId}/resources"},
		{"routerId", "/api/networks/{networkId}/routers"},
		{"postureCheckId", "/api/posture-checks"},
		{"policyId", "/api/policies"},
		{"keyId", "/api/setup-keys"},
		{"routeId", "/api/routes"},
		{"nsgroupId", "/api/dns/nameservers"},
		{"zoneId", "/api/dns/zones"},
		{"recordId", "/api/dns/zones/{zoneId}/records"},
		{"inviteId", "/api/users/invites"},
	} {
		w.ids[step.name] = w.make(t, step.collection)
	}
	var token struct {
		Token struct{ ID string } `json:"personal_access_token"`
	}
	w.Want(t, 200, "POST", w.path("/api/users/{userId}/tokens"), w.body("POST /api/users/{userId}/tokens"), &token)
	w.ids["tokenId"] = token.Token.ID
	return w
}

// describedWorld is a world in the cluster, and the description that its answers are held against.
func describedWorld(t *testing.T) (*harness.Cluster, *harness.OpenAPI, *world) {
	t.Helper()
	c := cluster(t)
	needsProcesses(t, c)
	o, err := harness.ReadOpenAPI(description)
	if err != nil {
		t.Fatal(err)
	}
	return c, o, newWorld(t, c)
}

// make creates an object, which goes with the test, last come first gone.
func (w *world) make(t *testing.T, collection string) string {
	t.Helper()
	var made struct{ ID string }
	w.Want(t, 200, "POST", w.path(collection), w.body("POST "+collection), &made)
	path := w.path(collection) + "/" + made.ID
	t.Cleanup(func() { _, _ = w.Try(context.Background(), "DELETE", path, nil) })
	return made.ID
}

// path puts the world's ids into a path.
func (w *world) path(pattern string) string {
	for name, id := range w.ids {
		pattern = strings.ReplaceAll(pattern, "{"+name+"}", id)
	}
	return pattern
}

func (w *world) name() string {
	w.made++
	return fmt.Sprintf("%s-%d", w.Name, w.made)
}

// body is a good one for the operation, each time with another name; nil when it takes none.
func (w *world) body(operation string) object {
	method, path, _ := strings.Cut(operation, " ")
	if method != "POST" && method != "PUT" {
		return nil
	}
	name := w.name()
	group, peer := w.Group, w.ids["peerId"]
	switch collection(path) {
	case "/api/groups":
		if method == "POST" { // with a resource it could not be deleted
			return object{"name": name, "peers": []any{peer}}
		}
		return object{"name": name, "peers": []any{peer}, "resources": []any{object{"id": w.ids["resourceId"], "type": "host"}}}
	case "/api/policies":
		return object{"name": name, "description": "d", "enabled": true, "source_posture_checks": []any{w.ids["postureCheckId"]},
			"rules": []any{object{"name": "r", "description": "d", "enabled": true, "action": "accept", "bidirectional": true,
				"protocol": "tcp", "ports": []any{"80", "443"}, "sources": []any{group}, "destinations": []any{group}}}}
	case "/api/posture-checks":
		return object{"name": name, "description": "d", "checks": object{"nb_version_check": object{"min_version": "0.50.0"},
			"os_version_check":         object{"linux": object{"min_kernel_version": "5.0.0"}, "ios": object{"min_version": "16"}},
			"peer_network_range_check": object{"action": "deny", "ranges": []any{"192.0.2.0/24"}},
			"process_check":            object{"processes": []any{object{"linux_path": "/bin/a", "mac_path": "/bin/b", "windows_path": "c"}}}}}
	case "/api/setup-keys":
		if method == "PUT" {
			return object{"revoked": false, "auto_groups": []any{group}}
		}
		return object{"name": name, "type": "reusable", "expires_in": 86400, "auto_groups": []any{group}, "usage_limit": 5,
			"ephemeral": true, "allow_extra_dns_labels": true}
	case "/api/networks":
		return object{"name": name, "description": "d"}
	case "/api/networks/{networkId}/resources":
		return object{"name": name, "description": "d", "address": fmt.Sprintf("10.77.%d.%d", w.made/250, w.made%250+1),
			"groups": []any{group}, "enabled": true}
	case "/api/networks/{networkId}/routers":
		return object{"peer_groups": []any{group}, "metric": 9999, "masquerade": true, "enabled": true}
	case "/api/routes":
		return object{"description": "d", "network_id": name[len(name)-12:], "enabled": true, "peer": peer,
			"network": fmt.Sprintf("10.%d.%d.0/24", 100+w.made/250, w.made%250), "metric": 100, "masquerade": true,
			"groups": []any{group}, "keep_route": true, "skip_auto_apply": false}
	case "/api/dns/nameservers":
		return object{"name": "ns-" + name[len(name)-12:], "description": "d", "enabled": true, "primary": false, "groups": []any{group},
			"domains": []any{"x.test"}, "search_domains_enabled": true,
			"nameservers": []any{object{"ip": "192.0.2.1", "ns_type": "udp", "port": 53}}}
	case "/api/dns/settings":
		return object{"disabled_management_groups": []any{w.ids["groupId"]}}
	case "/api/dns/zones":
		domain := fmt.Sprintf("z%s.test", name[len(name)-8:])
		if method == "PUT" {
			domain = w.ids["zone"]
		} else if w.ids["zone"] == "" {
			w.ids["zone"] = domain
		}
		return object{"name": name, "domain": domain, "enabled": true, "enable_search_domain": true, "distribution_groups": []any{group}}
	case "/api/dns/zones/{zoneId}/records":
		return object{"name": fmt.Sprintf("h%d.%s", w.made, w.ids["zone"]), "type": "A", "content": "192.0.2.9", "ttl": 300}
	case "/api/users":
		if method == "PUT" {
			return object{"role": "user", "auto_groups": []any{group}, "is_blocked": false}
		}
		return object{"name": name, "role": "user", "auto_groups": []any{group}, "is_service_user": true}
	case "/api/users/{userId}/tokens":
		return object{"name": "t", "expires_in": 30}
	case "/api/peers":
		return object{"name": name, "ssh_enabled": true, "login_expiration_enabled": false, "inactivity_expiration_enabled": false, "ip": w.address}
	case "/api/accounts":
		return object{"settings": w.settings}
	}
	switch operation {
	case "POST /api/peers/{peerId}/temporary-access":
		return object{"name": name, "wg_pub_key": harness.NewKey(w.t).PublicKey().String(), "rules": []any{"tcp/22", "icmp"}}
	case "POST /api/peers/{peerId}/jobs":
		return object{"workload": object{"type": "bundle", "parameters": object{"bundle_for": true, "bundle_for_time": 2,
			"log_file_count": 10, "anonymize": true}}}
	case "POST /api/setup":
		return object{"email": "a@b.test", "password": "Long enough, 1", "name": "A"}
	case "PUT /api/users/{userId}/password":
		return object{"old_password": "old password", "new_password": "New password 1"}
	case "POST /api/identity-providers", "PUT /api/identity-providers/{idpId}":
		return object{"type": "oidc", "name": "p", "issuer": w.upstream.URL, "client_id": "c", "client_secret": "s"}
	case "POST /api/reverse-proxies/services", "PUT /api/reverse-proxies/services/{serviceId}":
		return object{"name": "s", "domain": "s.test", "mode": "http", "targets": []any{object{"target_type": "peer", "target_id": peer}}}
	case "POST /api/reverse-proxies/domains":
		return object{"domain": "d.test", "target_cluster": "c.test"}
	case "POST /api/reverse-proxies/proxy-tokens":
		return object{"name": name, "expires_in": 3600}
	case "POST /api/integrations/scim-idp":
		return object{"provider": "okta", "prefix": name, "group_prefixes": []any{}, "user_group_prefixes": []any{}}
	case "PUT /api/integrations/scim-idp/{integrationId}":
		return object{"enabled": true, "prefix": name}
	case "POST /api/users/invites":
		return object{"email": name + "@b.test", "name": "I", "role": "user", "auto_groups": []any{group}}
	case "POST /api/users/invites/{inviteId}/regenerate":
		return object{"expires_in": 3600}
	case "POST /api/users/invites/{token}/accept":
		return object{"password": "Long enough 1!"}
	}
	return nil
}

// collection of an object's path; "" when it is neither an object's nor a collection's.
func collection(path string) string {
	known := strings.Fields(`/api/groups /api/policies /api/posture-checks /api/setup-keys /api/networks /api/networks/{networkId}/resources
		/api/networks/{networkId}/routers /api/routes /api/dns/nameservers /api/dns/settings /api/dns/zones
		/api/dns/zones/{zoneId}/records /api/users /api/users/{userId}/tokens /api/peers /api/accounts`)
	for _, c := range known {
		if rest, ok := strings.CutPrefix(path, c); ok && (rest == "" || (strings.HasPrefix(rest, "/{") && strings.HasSuffix(rest, "}") && strings.Count(rest, "/") == 1)) {
			return c
		}
	}
	return ""
}

// What a good request is answered with where it is not 200: what this server does not have, or what the world does not call for.
var otherwise = map[string]int{
	"POST /api/setup":                                       412,
	"POST /api/users/{userId}/approve":                      422,
	"DELETE /api/users/{userId}/reject":                     422,
	"POST /api/users/{userId}/invite":                       404, // a service user is nobody to invite
	"PUT /api/users/{userId}/password":                      422,
	"GET /api/users/invites/{token}":                        422,
	"POST /api/users/invites/{token}/accept":                422,
	"GET /api/identity-providers/{idpId}":                   404,
	"PUT /api/identity-providers/{idpId}":                   404,
	"DELETE /api/identity-providers/{idpId}":                404,
	"POST /api/reverse-proxies/services":                    412,
	"GET /api/reverse-proxies/services/{serviceId}":         404,
	"PUT /api/reverse-proxies/services/{serviceId}":         404,
	"DELETE /api/reverse-proxies/services/{serviceId}":      404,
	"POST /api/reverse-proxies/domains":                     422,
	"DELETE /api/reverse-proxies/domains/{domainId}":        404,
	"GET /api/reverse-proxies/domains/{domainId}/validate":  404,
	"DELETE /api/reverse-proxies/clusters/{clusterAddress}": 404,
	"DELETE /api/reverse-proxies/proxy-tokens/{tokenId}":    404, // {tokenId} is a user's
	"GET /api/reverse-proxy/callback":                       400,
	"GET /api/integrations/scim-idp/{integrationId}":        404,
	"PUT /api/integrations/scim-idp/{integrationId}":        404,
	"DELETE /api/integrations/scim-idp/{integrationId}":     404,
	"POST /api/integrations/scim-idp/{integrationId}/token": 404,
	"GET /api/integrations/scim-idp/{integrationId}/logs":   404,
	"GET /api/locations/countries":                          412, // without a database
	"GET /api/locations/countries/{country}/cities":         412,
	"GET /api/peers/{peerId}/jobs/{jobId}":                  404,
}

func clone(v any) any {
	text, err := json.Marshal(v)
	if err != nil {
		panic(err)
	}
	var out any
	if err := json.Unmarshal(text, &out); err != nil {
		panic(err)
	}
	return out
}
