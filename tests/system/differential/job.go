package differential

import (
	"fmt"
	"net/http"
	"strings"
	"time"

	"github.com/netbirdio/netbird/shared/management/proto"

	"rookery.test/system/harness"
)

// jobLimit bounds how long it takes until a server knows that an agent listens for jobs, or what has become of one.
const jobLimit = 5 * time.Second

// work has an agent listen for jobs, asks it for one, and compares what is heard of it.
func (a *account) work(o *op) error {
	g := a.agents[o.peer]
	if g == nil {
		return nil
	}
	stock, ours, err := together(a, func(s *server) (any, error) { return s.work(a, g, o) })
	if err != nil {
		return err
	}
	a.counts.answers++
	a.differ("job of "+o.peer, o, stock, ours)
	return nil
}

func (s *server) work(a *account, g *agent, o *op) (any, error) {
	if s.line(g.name) == nil { // ours asks those for jobs who are there
		if first, err := s.begin(a.ctx, g); err != nil || isRefusal(first) {
			return first, err
		}
	}
	stream := s.bare(g).Jobs(s.t)
	defer stream.Cut()
	path := "/api/peers/" + ref(g.name) + "/jobs"
	var answer *harness.Answer
	err := harness.Within(jobLimit, func() (err error) {
		if answer, err = s.ask(a.ctx, "POST", path, o.body); err == nil && strings.Contains(string(answer.Body), "not connected") {
			err = fmt.Errorf("%s", answer.Body)
		}
		return err
	})
	if answer == nil {
		return nil, err
	}
	if answer.Status != http.StatusOK {
		return s.body(answer), nil
	}
	s.learnObject(o.bind, answer)
	select {
	case job, ok := <-stream.Jobs:
		if !ok {
			return nil, fmt.Errorf("%s: %w", s.label, stream.Err)
		}
		stream.Answer(s.t, &proto.JobResponse{ID: job.ID, Status: proto.JobStatus_succeeded,
			WorkloadResults: &proto.JobResponse_Bundle{Bundle: &proto.BundleResult{UploadKey: "bundle/key"}}})
	case <-time.After(jobLimit):
		return nil, fmt.Errorf("%s: no job came", s.label)
	}
	var done object
	err = harness.Within(jobLimit, func() error {
		if err := s.get(a.ctx, path+"/"+ref(o.bind), &done); err != nil || done["status"] != "pending" {
			return err
		}
		return fmt.Errorf("%s: the job is pending", s.label)
	})
	return s.names.value(done), err
}
