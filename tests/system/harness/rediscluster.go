package harness

import (
	"net"
	"os"
	"os/exec"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"
)

// RedisSlot is the slot of signal's keys.
const RedisSlot = "11435"

// RedisCluster is three masters and a replica of each.
type RedisCluster struct {
	Nodes []*RedisServer
}

// NewRedisCluster starts one whose nodes believe that another one is dead after a second; they end with the test.
func NewRedisCluster(t testing.TB) *RedisCluster {
	t.Helper()
	r := &RedisCluster{}
	words := []string{"--cluster", "create"}
	for range 6 {
		r.Nodes = append(r.Nodes, startRedis(t, "node", FreePort(t), redisPassword, "requirepass "+redisPassword+"\nmasterauth "+
			redisPassword+"\ncluster-enabled yes\ncluster-port "+strconv.Itoa(FreePort(t))+"\ncluster-node-timeout 1000\n"))
		words = append(words, r.Nodes[len(r.Nodes)-1].At)
	}
	r.run(t, append(words, "--cluster-replicas", "1", "--cluster-yes")...)
	for _, n := range r.Nodes {
		Eventually(t, 20*time.Second, "all know one another", func() error {
			return n.says("cluster_state:ok", "cluster", "info")
		})
	}
	Eventually(t, 20*time.Second, "the slot's master has its replica", func() error {
		return r.Master(t).says("state=online", "info", "replication")
	})
	return r
}

func (r *RedisCluster) run(t testing.TB, words ...string) {
	t.Helper()
	cmd := exec.Command("redis-cli", words...)
	cmd.Env = append(os.Environ(), "REDISCLI_AUTH="+redisPassword)
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("%s: %v: %s", strings.Join(words, " "), err, out)
	}
}

// Settings are what a service needs to be told: not all of the nodes.
func (r *RedisCluster) Settings() map[string]string {
	return map[string]string{"redis_cluster": r.Nodes[0].At + "," + r.Nodes[1].At, "redis_password": redisPassword}
}

// Master is the living node that may be asked for the slot's keys; nil while there is none.
func (r *RedisCluster) Master(t testing.TB) *RedisServer {
	t.Helper()
	for _, n := range r.Nodes {
		if n.PID() == 0 {
			continue
		}
		if _, err := n.Ask("get", "rk:{sig}"); err == nil {
			return n
		}
	}
	return nil
}

// MoveSlot has the slot go to another master, with its keys, and returns that one.
func (r *RedisCluster) MoveSlot(t testing.TB, from *RedisServer) *RedisServer {
	t.Helper()
	to := slices.IndexFunc(r.Nodes, func(n *RedisServer) bool {
		return n != from && n.PID() != 0 && n.says("role:master", "info", "replication") == nil
	})
	if to < 0 {
		t.Fatal("there is no other master")
	}
	ids := map[*RedisServer]string{}
	for _, n := range []*RedisServer{from, r.Nodes[to]} {
		id, err := n.Ask("cluster", "myid")
		if err != nil {
			t.Fatal(err)
		}
		ids[n] = id
	}
	ask := func(n *RedisServer, words ...string) string {
		t.Helper()
		out, err := n.Ask(words...)
		if err != nil {
			t.Fatal(err)
		}
		return out
	}
	host, port, err := net.SplitHostPort(r.Nodes[to].At)
	if err != nil {
		t.Fatal(err)
	}
	ask(r.Nodes[to], "cluster", "setslot", RedisSlot, "importing", ids[from])
	ask(from, "cluster", "setslot", RedisSlot, "migrating", ids[r.Nodes[to]])
	Eventually(t, 5*time.Second, "all keys are moved", func() error {
		for {
			keys := strings.Fields(ask(from, "cluster", "getkeysinslot", RedisSlot, "100"))
			if len(keys) == 0 {
				return nil
			}
			if _, err := from.Ask(append([]string{"migrate", host, port, "", "0", "1000", "auth", redisPassword, "keys"}, keys...)...); err != nil {
				return err
			}
		}
	})
	ask(r.Nodes[to], "cluster", "setslot", RedisSlot, "node", ids[r.Nodes[to]])
	ask(from, "cluster", "setslot", RedisSlot, "node", ids[r.Nodes[to]])
	return r.Nodes[to]
}
