package system

import (
	"context"
	"fmt"
	"net"
	"sync"
	"testing"
	"time"

	"github.com/netbirdio/netbird/shared/signal/proto"
	"golang.org/x/net/http2"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/metadata"
	pb "google.golang.org/protobuf/proto"

	"rookery.test/system/harness"
)

// A signal replica by itself: contention for a key, limits, slow receivers, drain. Each test starts one of its own.

func soloSignal(t *testing.T, settings map[string]string) *harness.Sibling {
	t.Helper()
	c := cluster(t)
	needsProcesses(t, c)
	return c.Sibling(t, "signal-1", settings)
}

// from is a call that a trusted proxy passed on for an agent at that address.
func from(t *testing.T, address string) context.Context {
	return metadata.AppendToOutgoingContext(t.Context(), "x-forwarded-for", address)
}

// Two living agents with one key slow down; one agent that reconnects as often does not.
func TestSignalContention(t *testing.T) {
	t.Parallel()
	m := soloSignal(t, map[string]string{"trusted_proxies": "0.0.0.0/0,::/0"})
	clones := harness.NewSignal(t, m.Listen)
	steady := harness.NewSignal(t, m.Listen)
	connect := func(s *harness.Signal, address string) *harness.SignalStream {
		t.Helper()
		stream, err := s.TryConnect(from(t, address), s.ID(), 20*time.Second)
		if err != nil {
			t.Fatal(err)
		}
		return stream
	}
	var held *harness.SignalStream
	for i := range 12 { // eleven evictions
		held = connect(clones, fmt.Sprintf("192.0.2.%d", 1+i%2))
		connect(steady, "192.0.2.9")
	}
	if n := counted(t, m.Admin, "rookery_signal_registrations_held_total"); n != 0 {
		t.Errorf("%v registrations were held", n)
	}

	waiting := make(chan *harness.SignalStream, 1)
	start := time.Now()
	go func() {
		stream, err := clones.TryConnect(from(t, "192.0.2.1"), clones.ID(), 20*time.Second)
		if err != nil {
			t.Error(err)
		}
		waiting <- stream
	}()
	counts(t, m.Admin, "rookery_signal_registrations_held_total", 1, soon)
	// Whoever has the key keeps it meanwhile, and other keys do not wait.
	message := steady.Message(clones.ID(), []byte("to the one who is there"))
	steady.Send(t, message)
	held.Want(t, message, soon)
	before := time.Now()
	connect(steady, "192.0.2.10")
	if took := time.Since(before); took > time.Second {
		t.Errorf("another key waited %v", took)
	}
	held.Empty(t)
	if fresh := <-waiting; fresh != nil {
		if took := time.Since(start); took < 2*time.Second || took > 15*time.Second {
			t.Errorf("held for %v", took)
		}
		harness.WantStatus(t, held.End(t, soon), codes.Unknown, "peer registered again")
		steady.Send(t, message)
		fresh.Want(t, message, soon)
	}
}

// What a client says on its stream means nothing, not even that it has nothing more to say.
func TestSignalStreamOutlivesItsHalfClose(t *testing.T) {
	at := signals(t, cluster(t))
	s := harness.NewSignal(t, at[0])
	stream := s.Connect(t)
	for _, junk := range [][]byte{{}, {0xff, 0xff}, make([]byte, 100_000)} {
		if err := stream.Stream.SendMsg(&junk); err != nil {
			t.Fatal(err)
		}
	}
	if err := stream.Stream.CloseSend(); err != nil {
		t.Fatal(err)
	}
	for _, entry := range at {
		message := s.Message(s.ID(), []byte("through "+entry))
		s.At(t, entry).Send(t, message)
		stream.Want(t, message, soon)
	}
	stream.Empty(t)
}

func same(t *testing.T, bytes []byte, message *proto.EncryptedMessage) bool {
	t.Helper()
	got := &proto.EncryptedMessage{}
	return pb.Unmarshal(bytes, got) == nil && pb.Equal(got, message)
}

// A replica that dies takes nothing with it: its agents are found where they come back, although others remember it, and get
// even the first message, whether or not one was lost in between.
func TestSignalKilledReplica(t *testing.T) {
	for _, lost := range []bool{true, false} {
		m := soloSignal(t, nil)
		at := signals(t, cluster(t))
		agent := harness.NewSignal(t, m.Listen)
		stream := agent.Connect(t)
		sender := harness.NewSignal(t, at[0])
		message := sender.Message(agent.ID(), []byte("before"))
		sender.Send(t, message)
		stream.Want(t, message, soon)
		m.Kill(t)
		if lost {
			sender.Send(t, message) // to nobody: taken all the same
		}
		stream = agent.At(t, at[1]).Connect(t)
		after := sender.Message(agent.ID(), []byte("after"))
		sender.Send(t, after)
		if got := stream.Next(t, soon); !same(t, got, after) {
			if !lost || !same(t, got, message) { // the one from before may have found the agent after all
				t.Fatalf("got %q", got)
			}
			stream.Want(t, after, soon)
		}
		stream.Empty(t)
	}
}

func TestSignalMaxStreams(t *testing.T) {
	m := soloSignal(t, map[string]string{"max_streams": "2"})
	s := harness.NewSignal(t, m.Listen)
	first := s.Connect(t)
	other, err := s.TryConnect(t.Context(), harness.NewKey(t).PublicKey().String(), soon)
	if err != nil {
		t.Fatal(err)
	}
	third := harness.NewKey(t).PublicKey().String()
	_, err = s.TryConnect(t.Context(), third, soon)
	harness.WantStatus(t, err, codes.ResourceExhausted, "")
	if n := counted(t, m.Admin, `rookery_signal_registration_failures_total{error="limit"}`); n != 1 {
		t.Errorf("%v refusals counted", n)
	}
	other.Cut()
	harness.Eventually(t, soon, "a place is free again", func() error {
		_, err := s.TryConnect(t.Context(), third, soon)
		return err
	})
	message := s.Message(s.ID(), []byte("still served"))
	s.Send(t, message)
	first.Want(t, message, soon)
}

// A destination that reads nothing is evicted after ten seconds; until then it holds no more than its queue, and nobody
// else is the slower for it.
func TestSignalSlowReceiverIsBoundedAndEvicted(t *testing.T) {
	m := soloSignal(t, nil)
	sender := harness.NewSignal(t, m.Listen)
	good := harness.NewSignal(t, m.Listen)
	stream := good.Connect(t)
	dead := harness.NewSignal(t, m.Listen)
	stalled(t, m.Listen, dead.ID())
	before := m.RSS(t)
	message := sender.Message(dead.ID(), make([]byte, 20_000))
	probe := sender.Message(good.ID(), []byte("to one who reads"))
	late := 0
	for i := range 3000 { // 60 MB
		sender.Send(t, message)
		if i%30 == 0 {
			start := time.Now()
			sender.Send(t, probe)
			stream.Want(t, probe, soon)
			if time.Since(start) > 100*time.Millisecond {
				late++
			}
		}
	}
	if late > 10 {
		t.Errorf("%d of 100 messages to one who reads took more than 100 ms", late)
	}
	if queued := counted(t, m.Admin, "rookery_signal_queued_bytes"); queued > 2<<20 {
		t.Errorf("%v bytes queued", queued)
	}
	if counted(t, m.Admin, `rookery_signal_message_forward_failures_total{type="overflow"}`) == 0 {
		t.Error("no drop was counted")
	}
	if grown := m.RSS(t) - before; grown > 24<<20 && !m.Sanitized(t) {
		t.Errorf("memory grew by %d bytes", grown)
	}
	counts(t, m.Admin, "rookery_signal_active_peers", 1, 15*time.Second)
	counts(t, m.Admin, "rookery_signal_queued_bytes", 0, soon)
	// Its queue took 2 MiB, and went with it.
	if n := counted(t, m.Admin, `rookery_signal_message_forward_failures_total{type="disconnected"}`); n < 90 || n > 105 {
		t.Errorf("%v messages went with their stream", n)
	}
	sender.Send(t, message) // absent now
	sender.Send(t, probe)
	stream.Want(t, probe, soon)
}

// All queues together stay within queue_total_bytes, however many destinations stall.
func TestSignalQueuesTogetherAreBounded(t *testing.T) {
	m := soloSignal(t, map[string]string{"queue_total_bytes": "8388608"})
	sender := harness.NewSignal(t, m.Listen)
	var senders sync.WaitGroup
	for range 12 {
		dead := harness.NewSignal(t, m.Listen)
		stalled(t, m.Listen, dead.ID())
		message := sender.Message(dead.ID(), make([]byte, 100_000))
		senders.Add(1)
		go func() {
			defer senders.Done()
			for range 60 {
				if _, err := sender.TrySend(context.Background(), message); err != nil {
					t.Error(err)
				}
			}
		}()
	}
	senders.Wait()
	if queued := counted(t, m.Admin, "rookery_signal_queued_bytes"); queued > 8<<20 || queued < 4<<20 {
		t.Errorf("%v bytes queued", queued)
	}
	if counted(t, m.Admin, `rookery_signal_message_forward_failures_total{type="overflow"}`) == 0 {
		t.Error("no drop was counted")
	}
}

func TestSignalDrain(t *testing.T) {
	m := soloSignal(t, map[string]string{"drain_ms": "2000"})
	const agents = 40
	ends := make(chan time.Time, agents)
	for range agents {
		stream := harness.NewSignal(t, m.Listen).Connect(t)
		go func() {
			if err := stream.End(t, 10*time.Second); err == nil {
				t.Error("the stream ended well")
			}
			ends <- time.Now()
		}()
	}
	m.Terminate(t)
	harness.Eventually(t, soon, "not ready", func() error {
		if code, err := harness.Ready(m.Admin); err == nil && code == 200 {
			return fmt.Errorf("ready")
		}
		return nil
	})
	first := <-ends
	last := first
	for range agents - 1 {
		last = <-ends
	}
	if spread := last.Sub(first); spread < 500*time.Millisecond {
		t.Errorf("all streams ended within %v", spread)
	}
	if code := m.Exited(t, 10*time.Second); code != 0 {
		t.Errorf("exit code %d", code)
	}
}

// One who reads nothing, and to whom the kernel takes nothing any more, does not hold up a replica that goes: what waits for
// such a one, the news that it goes included, is given up.
func TestSignalDrainWithOneWhoReadsNothing(t *testing.T) {
	m := soloSignal(t, map[string]string{"drain_ms": "2000"})
	sender := harness.NewSignal(t, m.Listen)
	dead := harness.NewSignal(t, m.Listen)
	conn := stalled(t, m.Listen, dead.ID())
	if err := conn.(*net.TCPConn).SetReadBuffer(4096); err != nil {
		t.Fatal(err)
	}
	framer := http2.NewFramer(conn, nil) // as far as HTTP/2 goes, all may be sent
	if err := framer.WriteSettings(http2.Setting{ID: http2.SettingInitialWindowSize, Val: 1 << 30}); err != nil {
		t.Fatal(err)
	}
	if err := framer.WriteWindowUpdate(0, 1<<30); err != nil {
		t.Fatal(err)
	}
	message := sender.Message(dead.ID(), make([]byte, 100_000))
	harness.Eventually(t, 20*time.Second, "a full queue", func() error {
		for range 10 {
			sender.Send(t, message)
		}
		if queued := counted(t, m.Admin, "rookery_signal_queued_bytes"); queued < 200_000 {
			return fmt.Errorf("%v bytes queued", queued)
		}
		return nil
	})
	start := time.Now()
	m.Terminate(t)
	if code := m.Exited(t, 10*time.Second); code != 0 {
		t.Errorf("exit code %d", code)
	}
	if took := time.Since(start); took > 4*time.Second {
		t.Errorf("it took %v", took)
	}
}
