package helm

import (
	"strings"
	"testing"

	"helm.sh/helm/v3/pkg/chartutil"
)

// Values that are wrong, over those of minimal.yaml, and what Helm then says.
var refused = []struct{ name, values, says string }{
	{"no domain", `global: {domain: ""}`, "global.domain is missing: the name at which agents and browsers reach this deployment"},
	{"domain with a scheme", `global: {domain: "https://mesh.example.com"}`, "at '/global/domain'"},
	{"unknown value", `managment: {replicas: 3}`, "additional properties 'managment' not allowed"},
	{"unknown value of a component", `management: {replica: 3}`, "additional properties 'replica' not allowed"},
	{"replicas as text", `management: {replicas: "3"}`, "at '/management/replicas': got string, want integer"},
	{"unknown setting", `management: {settings: {worker: 8}}`, "additional properties 'worker' not allowed"},
	{"setting of another service", `signal: {settings: {workers: 8}}`, "additional properties 'workers' not allowed"},
	{"setting that the chart makes", `management: {settings: {signal_url: "https://x:443"}}`, "additional properties 'signal_url' not allowed"},
	{"setting out of range", `management: {settings: {workers: 65}}`, "at '/management/settings/workers': maximum: got 65, want 64"},
	{"region that is somewhere", `regions: [{name: eu, at: Frankfurt}]`, "at '/regions/0/at'"},
	{"management without a scheme", `register: {managementUrl: mesh.example.com}`, "at '/register/managementUrl'"},
	{"no Postgres", `postgres: {builtIn: {enabled: false}}`, "there is no Postgres: set postgres.hosts and postgres.existingSecret, or"},
	{"two of Postgres", `postgres: {hosts: [db]}`, "postgres.builtIn.enabled and postgres.hosts exclude each other"},
	{"no password", `postgres: {builtIn: {enabled: false}, hosts: [db]}`, "postgres.existingSecret is missing"},
	{"password in the values", `postgres: {password: hunter2}`, "additional properties 'password' not allowed"},
	{"a quote in the conninfo", `postgres: {user: "a b"}`, "at '/postgres/user'"},
	{"sslmode", `postgres: {sslmode: on}`, "at '/postgres/sslmode'"},
	{"no Redis", `redis: {builtIn: {enabled: false}}`, "there is no Redis: set redis.host, or redis.builtIn.enabled=true"},
	{"two of Redis", `redis: {host: elsewhere}`, "redis.builtIn.enabled and redis.host exclude each other"},
	{"Redis mode", `redis: {mode: replicated}`, "at '/redis/mode': value must be one of 'standalone', 'sentinel', 'cluster'"},
	{"no nodes of a Redis Cluster", `redis: {mode: cluster, builtIn: {enabled: false}}`, "redis.mode cluster needs redis.cluster.nodes"},
	{"a Redis Cluster and one here", `redis: {mode: cluster, cluster: {nodes: ["a:6379"]}}`, "redis.mode cluster: leave out redis.host"},
	{"node without a port", `redis: {mode: cluster, cluster: {nodes: [a]}}`, "at '/redis/cluster/nodes/0'"},
	{"no Sentinels", `redis: {mode: sentinel, builtIn: {enabled: false}}`, "redis.mode sentinel needs redis.sentinel.hosts"},
	{"Sentinels and a host", `redis: {mode: sentinel, host: elsewhere, builtIn: {enabled: false}, sentinel: {hosts: ["a:26379"]}}`, "leave out redis.host"},
	{"Sentinel without a port", `redis: {mode: sentinel, sentinel: {hosts: [a]}}`, "at '/redis/sentinel/hosts/0'"},
	{"external provider, not named", `oidc: {mode: external}`, "oidc.mode external needs oidc.discoveryUrl or oidc.issuer"},
	{"external provider without an audience", `oidc: {mode: external, issuer: "https://a"}`, "oidc.mode external needs oidc.audience"},
	{"embedded provider with an issuer", `oidc: {issuer: "https://a"}`, "belong to oidc.mode external, but it is embedded"},
	{"owner of an external provider", `{oidc: {mode: external, issuer: "https://a", audience: b}, bootstrap: {owner: a@b}}`, "bootstrap.owner needs oidc.mode embedded"},
	{"owner that is no e-mail address", `bootstrap: {owner: admin}`, "at '/bootstrap/owner'"},
	{"token without a Secret", `bootstrap: {owner: a@b, token: true}`, "bootstrap.token needs bootstrap.existingSecret"},
	{"Secret without an owner", `bootstrap: {existingSecret: a}`, "bootstrap.owner, the owner's e-mail address, is not"},
	{"Ingress and Gateway", `gateway: {enabled: true, className: cilium}`, "ingress.enabled and gateway.enabled exclude each other"},
	{"Gateway without a class", `{ingress: {enabled: false}, gateway: {enabled: true}}`, "gateway.className is missing"},
	{"somebody's Gateway, not named", `{ingress: {enabled: false}, gateway: {enabled: true, create: false}}`, "name the Gateway that is there in gateway.parentRefs"},
	{"relays that nobody reaches", `ingress: {enabled: false}`, "relay.expose Proxy needs ingress.enabled or gateway.enabled"},
	{"relays of one name", `relay: {hostTemplate: relay.example.com}`, "hostTemplate must contain {index}"},
	{"relays that scale", `relay: {autoscaling: {enabled: true}}`, "relay.autoscaling: each relay has a name and a certificate of its own"},
	{"STUN by a proxy", `stun: {expose: Proxy}`, "at '/stun/expose': value must be one of 'LoadBalancer', 'HostPort', 'None'"},
	{"two regions of one name", `regions: [{name: eu}, {name: eu}]`, "regions: two have the same name"},
	{"regions without {region}", `{regions: [{name: eu}, {name: us}], stun: {hostTemplate: stun.example.com}}`, "{region} where there are several"},
	{"relay URL with a path", `relay: {extraUrls: ["rels://a:443/relay"]}`, "at '/relay/extraUrls/0'"},
	{"region without the keys of the control plane", `controlPlane: false`, "controlPlane false needs secrets.existingSecret"},
	{"proxy that is no network", `trustedProxies: [ingress]`, "at '/trustedProxies/0'"},
	{"no time to drain", `drain: {drainSeconds: 0}`, "at '/drain/drainSeconds': minimum: got 0, want 1"},
	{"registry with a slash at its end", `global: {image: {registry: registry.example.com/}}`, "at '/global/image/registry'"},
}

func TestWrongValuesAreRefused(t *testing.T) {
	for _, c := range refused {
		t.Run(c.name, func(t *testing.T) {
			values := chartutil.CoalesceTables(valuesOf(t, c.values), example(t, "minimal"))
			_, err := render(t, values)
			if err == nil {
				t.Fatalf("accepted: %s", c.values)
			}
			if !strings.Contains(err.Error(), c.says) {
				t.Errorf("%s: Helm says\n%v\nand not %q", c.values, err, c.says)
			}
		})
	}
}

// All that is wrong is said at once.
func TestSeveralMistakesAreOneMessage(t *testing.T) {
	_, err := render(t, nil)
	if err == nil {
		t.Fatal("accepted without any value")
	}
	for _, says := range []string{"global.domain is missing", "there is no Postgres", "there is no Redis"} {
		if !strings.Contains(err.Error(), says) {
			t.Errorf("%v\ndoes not say %q", err, says)
		}
	}
}
