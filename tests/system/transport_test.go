package system

import (
	"context"
	"fmt"
	"os"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/netbirdio/netbird/shared/management/proto"
	"google.golang.org/grpc"
	"google.golang.org/grpc/metadata"
	pb "google.golang.org/protobuf/proto"

	"rookery.test/system/harness"
)

// A client that does not read costs itself alone. grpc-go, as in the agents: its transport takes what the stream's window
// (64 KiB) allows and answers PINGs, and its owner never asks for the messages.

// resident is what a process has in memory; `peak` also counts what it gave back since the last resetPeak.
func resident(t *testing.T, pid int, peak bool) int64 {
	t.Helper()
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	if err != nil {
		t.Fatal(err)
	}
	name := "VmRSS:"
	if peak {
		name = "VmHWM:"
	}
	_, after, _ := strings.Cut(string(text), name)
	number, _, _ := strings.Cut(strings.TrimSpace(after), " ")
	kb, err := strconv.ParseInt(number, 10, 64)
	if err != nil {
		t.Fatalf("%s of process %d: %v", name, pid, err)
	}
	return kb << 10
}

func resetPeak(t *testing.T, pid int) {
	t.Helper()
	if err := os.WriteFile(fmt.Sprintf("/proc/%d/clear_refs", pid), []byte("5"), 0); err != nil {
		t.Fatal(err)
	}
}

// growth watches the processes of a tier: the answer says by how much the worst of them has grown meanwhile, at its peak.
func growth(t *testing.T, c *harness.Cluster, tier string) func() int64 {
	t.Helper()
	before := map[string]int64{}
	for _, name := range c.Names(tier) {
		pid := c.Proc(t, name).PID
		resetPeak(t, pid)
		before[name] = resident(t, pid, false)
	}
	return func() int64 {
		worst := int64(0)
		for name, was := range before {
			worst = max(worst, resident(t, c.Proc(t, name).PID, true)-was)
		}
		return worst
	}
}

// register opens a ConnectStream whose messages nobody asks for.
func register(t *testing.T, s *harness.Signal) grpc.ClientStream {
	t.Helper()
	ctx, cancel := context.WithCancel(metadata.AppendToOutgoingContext(t.Context(), "x-wiretrustee-peer-id", s.ID()))
	t.Cleanup(cancel)
	stream, err := s.Conn.NewStream(ctx, &grpc.StreamDesc{ServerStreams: true, ClientStreams: true},
		"/signalexchange.SignalExchange/ConnectStream", harness.RawCodec())
	if err != nil {
		t.Fatal(err)
	}
	header, err := stream.Header()
	if err != nil || len(header.Get("x-wiretrustee-peer-registered")) == 0 {
		t.Fatalf("not registered: %v, %v", header, err)
	}
	return stream
}

func TestTransportSlowSignalStream(t *testing.T) {
	c := cluster(t)
	needsProcesses(t, c)
	entries := map[string]string{"replica": signals(t, c)[0], "front": harness.Endpoint(t, c.SignalURL)}
	for name, at := range entries {
		t.Run(name, func(t *testing.T) { slowSignalStream(t, c, at) })
	}
}

func slowSignalStream(t *testing.T, c *harness.Cluster, at string) {
	const slows, senders, each, size = 8, 4, 100, 64 << 10 // 25 MiB for each of the slow
	grown := growth(t, c, "signal")
	var slow []*harness.Signal
	for range slows {
		s := harness.NewSignal(t, at)
		register(t, s)
		slow = append(slow, s)
	}
	// At the replica one of those who read lives on the connection of a slow one. Behind the proxy that would wait with it.
	beside := harness.NewSignal(t, at)
	if at == signals(t, c)[0] {
		beside.Conn = slow[0].Conn
	}
	fast := map[*harness.Signal]*harness.SignalStream{}
	for _, s := range []*harness.Signal{beside, harness.NewSignal(t, at)} {
		fast[s] = s.Connect(t)
	}
	flood, stop := context.WithCancel(t.Context())
	defer stop()
	var flooding sync.WaitGroup
	for range senders {
		flooding.Add(1)
		go func() {
			defer flooding.Done()
			sender := harness.NewSignal(t, at)
			for range each {
				for _, s := range slow {
					_, err := sender.TrySend(flood, sender.Message(s.ID(), make([]byte, size)))
					if err != nil && flood.Err() == nil {
						t.Errorf("send to a slow one: %v", err)
						return
					}
				}
			}
		}()
	}
	over := make(chan struct{})
	go func() { flooding.Wait(); close(over) }()
	sender := harness.NewSignal(t, at)
	sent, worst := 0, time.Duration(0)
	for done := false; !done || sent < 50; sent++ {
		for s, stream := range fast {
			m := sender.Message(s.ID(), fmt.Appendf(nil, "%d", sent))
			start := time.Now()
			sender.Send(t, m)
			stream.Want(t, m, 2*time.Second)
			worst = max(worst, time.Since(start))
		}
		select {
		case <-over:
			done = true
		default:
		}
	}
	t.Logf("%d messages each to two who read, the slowest took %v; %d MiB were sent to %d who do not; the replica grew by %d KiB",
		sent, worst, slows*senders*each*size>>20, slows, grown()>>10)
	// The bound of the waiting messages is 2 MiB a stream, and what the allocator keeps.
	if got := grown(); got > slows*3<<20+16<<20 && !c.Proc(t, "signal-1").Sanitized(t) {
		t.Errorf("a replica grew by %d KiB", got>>10)
	}
}

// unread is a Sync stream whose messages are read when the test says so.
func unread(t *testing.T, b *harness.Bare) func() (*proto.SyncResponse, error) {
	t.Helper()
	server, err := b.ServerKey(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	sealed, err := b.Seal(server, &proto.SyncRequest{Meta: b.Meta})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	t.Cleanup(cancel)
	rpc, err := b.RPC.Sync(ctx, sealed)
	if err != nil {
		t.Fatal(err)
	}
	return func() (*proto.SyncResponse, error) {
		limit := time.AfterFunc(5*time.Second, cancel)
		defer limit.Stop()
		got, err := rpc.Recv()
		if err != nil {
			return nil, err
		}
		out := &proto.SyncResponse{}
		return out, b.Open(server, got, out)
	}
}

func TestTransportSlowSyncStream(t *testing.T) {
	t.Parallel()
	c := cluster(t)
	needsProcesses(t, c)
	entries := map[string]string{"replica": managements(t, c)[0], "front": front(t, c)}
	for name, at := range entries {
		t.Run(name, func(t *testing.T) { slowSyncStream(t, c, at) })
	}
}

func slowSyncStream(t *testing.T, c *harness.Cluster, at string) {
	const others, most = 80, 40
	s := c.Space(t)
	slow := harness.NewBare(t, at, "slow")
	slow.Login(t, s.Key)
	fast := harness.NewBare(t, at, "fast")
	fast.Login(t, s.Key)
	for i := range others {
		b := harness.NewBare(t, at, fmt.Sprintf("other-%d", i))
		b.Login(t, s.Key)
		_ = b.Conn.Close()
	}
	if at == managements(t, c)[0] { // behind the proxy, connections wait as a whole
		fast.Conn, fast.RPC = slow.Conn, slow.RPC
	}
	read := unread(t, slow)
	stream := fast.Sync(t)
	first, _ := stream.Until(t, 10*time.Second, "the whole map", func(m *proto.SyncResponse) bool {
		return len(m.GetNetworkMap().GetRemotePeers()) == others+1
	})
	grown := growth(t, c, "management")
	port := func(m *proto.SyncResponse) string {
		if rules := m.GetNetworkMap().GetFirewallRules(); len(rules) > 0 {
			return rules[0].GetPort()
		}
		return ""
	}
	// A stream that takes nothing for 30 s is cut, so this is not to last that long.
	edits, worst, last := 0, time.Duration(0), ""
	for start := time.Now(); edits < most && time.Since(start) < 15*time.Second; edits++ {
		last = strconv.Itoa(8000 + edits)
		s.SetPolicy(t, s.Policy, harness.Rule(s.Group, s.Group, "tcp", true, last))
		answered := time.Now()
		stream.Until(t, 3*time.Second, "the map of edit "+last, func(m *proto.SyncResponse) bool { return port(m) == last })
		worst = max(worst, time.Since(answered))
	}
	memory := grown()
	// Now the slow one reads: what had left before it stopped, and then nothing but the newest.
	maps := 0
	for final := false; !final; maps++ {
		m, err := read()
		if err != nil {
			t.Fatalf("after %d maps: %v", maps, err)
		}
		final = port(m) == last
	}
	size := pb.Size(first)
	t.Logf("%d maps of %d KiB to the one who reads, the last %v after its REST answer at most; %d to the one who did not; "+
		"the replica grew by %d KiB", edits, size>>10, worst, maps, memory>>10)
	if edits < 10 {
		t.Errorf("only %d edits: this says nothing", edits)
	}
	// Its window of 64 KiB, what the proxy and the kernel hold, and the newest.
	if limit := 3 + (256<<10)/size; maps > limit || maps >= edits {
		t.Errorf("%d maps of %d bytes waited for a stream that took nothing, more than %d", maps, size, limit)
	}
	if memory > 16<<20 && !c.Proc(t, "management-1").Sanitized(t) {
		t.Errorf("a replica grew by %d KiB", memory>>10)
	}
}
