package harness

import (
	"context"
	"testing"
	"time"

	"golang.zx2c4.com/wireguard/wgctrl/wgtypes"

	"github.com/netbirdio/netbird/shared/management/proto"
)

// JobStream is a Job stream, as an agent holds it open.
type JobStream struct {
	bare   *Bare
	server wgtypes.Key
	rpc    proto.ManagementService_JobClient
	Jobs   chan *proto.JobRequest // closed at the end of the stream
	Err    error                  // valid then
	cancel context.CancelFunc
}

// Jobs opens a Job stream; it is cut with the test.
func (b *Bare) Jobs(t testing.TB) *JobStream {
	t.Helper()
	server, err := b.ServerKey(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	rpc, err := b.RPC.Job(ctx)
	if err != nil {
		t.Fatal(err)
	}
	s := &JobStream{bare: b, server: server, rpc: rpc, Jobs: make(chan *proto.JobRequest, 16), cancel: cancel}
	hello, err := b.Seal(server, &proto.JobRequest{ID: []byte("7d1f3a4e-27a4-4f9d-8a34-0c6c5b1a2d3e")})
	if err == nil {
		err = rpc.Send(hello)
	}
	if err != nil {
		t.Fatal(err)
	}
	go func() {
		defer close(s.Jobs)
		for {
			sealed, err := rpc.Recv()
			job := &proto.JobRequest{}
			if err == nil {
				err = b.Open(server, sealed, job)
			}
			if err != nil {
				s.Err = err
				return
			}
			s.Jobs <- job
		}
	}()
	return s
}

// Next is the next job.
func (s *JobStream) Next(t testing.TB, limit time.Duration) *proto.JobRequest {
	t.Helper()
	select {
	case job, ok := <-s.Jobs:
		if !ok {
			t.Fatalf("the Job stream has ended: %v", s.Err)
		}
		return job
	case <-time.After(limit):
		t.Fatalf("no job within %v", limit)
	}
	return nil
}

// Answer sends what became of a job.
func (s *JobStream) Answer(t testing.TB, answer *proto.JobResponse) {
	t.Helper()
	sealed, err := s.bare.Seal(s.server, answer)
	if err == nil {
		err = s.rpc.Send(sealed)
	}
	if err != nil {
		t.Fatal(err)
	}
}

// Cut ends the stream from this side.
func (s *JobStream) Cut() { s.cancel() }
