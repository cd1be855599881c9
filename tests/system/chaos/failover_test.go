package chaos

import (
	"context"
	"fmt"
	"syscall"
	"testing"
	"time"

	"github.com/netbirdio/netbird/shared/management/proto"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials"

	"rookery.test/system/harness"
)

// The primary of Postgres is gone, killed or frozen, and its synchronous standby is promoted, under an administrator who writes
// all the time: writes resume within 2 s of the promotion, everything acknowledged is there, and no agent's stream has ended.
func failover(t *testing.T, w *world) {
	space := w.Space(t)
	var streams []*harness.Stream
	for i, name := range w.services("management") {
		b := harness.NewBare(t, w.Proc(t, name).Listen, fmt.Sprintf("peer-%d", i),
			grpc.WithTransportCredentials(credentials.NewTLS(w.TLS())))
		b.Login(t, space.Key)
		stream := b.Sync(t)
		stream.Next(t, 20*time.Second)
		streams = append(streams, stream)
	}
	ctx, stop := context.WithCancel(t.Context())
	defer stop()
	wr := newWriter(w.REST(), "failover")
	go wr.run(ctx)
	for _, way := range []struct {
		name string
		end  func()
	}{
		{"killed", func() { w.pg.Primary.Kill(t) }},
		{"frozen", func() { w.pg.Primary.Signal(syscall.SIGSTOP) }},
	} {
		// The machine may be busy with something else just then: of three times one has to be good.
		for tries := 1; ; tries++ {
			resumed := w.promote(t, wr, way.end)
			w.log(t, "primary %s: the first write was acknowledged %.2f s after the promotion", way.name, resumed.Seconds())
			if resumed <= 2*time.Second {
				break
			}
			if tries == 3 {
				t.Errorf("primary %s: %v", way.name, resumed)
				break
			}
		}
	}
	space.Allow(t, space.Group, space.Group, "tcp", true, "7999")
	for i, stream := range streams {
		stream.Until(t, 30*time.Second, fmt.Sprintf("stream %d goes on, with the last change", i), func(m *proto.SyncResponse) bool {
			for _, r := range m.GetNetworkMap().GetFirewallRules() {
				if r.GetPort() == "7999" {
					return true
				}
			}
			return false
		})
	}
}

// promote ends the primary and returns how long after the promotion of its standby the first write was acknowledged. Everything
// acknowledged is there.
func (w *world) promote(t *testing.T, wr *writer, end func()) time.Duration {
	t.Helper()
	before := wr.last()
	harness.Eventually(t, time.Minute, "writes go on", func() error {
		if !wr.last().After(before) {
			return fmt.Errorf("none since %v", before)
		}
		return nil
	})
	end()
	w.pg.Promote(t)
	promoted := time.Now()
	harness.Eventually(t, time.Minute, "writes go on after the promotion", func() error {
		if !wr.last().After(promoted) {
			return fmt.Errorf("the last one was %v before it", promoted.Sub(wr.last()))
		}
		return nil
	})
	resumed := wr.last().Sub(promoted)
	acknowledged := wr.acknowledged()
	for _, wrong := range wr.wrong(acknowledged, w.groups(t, recovery)) {
		t.Error(wrong)
	}
	w.pg.Rejoin(t)
	return resumed
}
