package chaos

import (
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"sync"
	"time"

	"rookery.test/system/harness"
)

// fate is what is known of a group that the writer made.
type fate int

const (
	unknown fate = iota // no answer, or "try again": it may be there
	there               // made, and that was acknowledged
	gone                // deleted, and that was acknowledged
)

// writer makes and deletes groups over REST all the time, and remembers what was acknowledged.
type writer struct {
	rest *harness.REST
	name string

	mu       sync.Mutex
	fates    map[string]fate
	ids      []string // of those that are there, oldest first
	names    map[string]string
	acked    int
	refused  int
	lastGood time.Time
	odd      []string // answers that no client expects
}

const pace = 100 * time.Millisecond

func newWriter(rest *harness.REST, name string) *writer {
	return &writer{rest: rest, name: name, fates: map[string]fate{}, names: map[string]string{}}
}

// run writes until the context ends.
func (w *writer) run(ctx context.Context) {
	for n := 0; ctx.Err() == nil; n++ {
		if n%3 == 2 {
			w.delete(ctx)
		} else {
			w.create(ctx, fmt.Sprintf("%s-%d", w.name, n))
		}
		select {
		case <-ctx.Done():
		case <-time.After(pace):
		}
	}
}

// ask is true when the answer is 200; 502, 503 and 504 say "try again", as no answer does.
func (w *writer) ask(ctx context.Context, method, path string, body any) (*harness.Answer, bool) {
	ctx, cancel := context.WithTimeout(ctx, 15*time.Second)
	defer cancel()
	a, err := w.rest.Try(ctx, method, path, body)
	w.mu.Lock()
	defer w.mu.Unlock()
	if err != nil || a.Status == 502 || a.Status == 503 || a.Status == 504 {
		w.refused++
		return nil, false
	}
	if a.Status != 200 {
		w.odd = append(w.odd, fmt.Sprintf("%s %s: status %d: %s", method, path, a.Status, a.Body))
		return nil, false
	}
	w.acked++
	w.lastGood = time.Now()
	return a, true
}

func (w *writer) create(ctx context.Context, name string) {
	w.mu.Lock()
	w.fates[name] = unknown
	w.mu.Unlock()
	a, ok := w.ask(ctx, "POST", "/api/groups", map[string]any{"name": name})
	if !ok {
		return
	}
	var made struct{ ID string }
	err := json.Unmarshal(a.Body, &made)
	w.mu.Lock()
	defer w.mu.Unlock()
	if err != nil || made.ID == "" {
		w.odd = append(w.odd, fmt.Sprintf("a new group without an id: %s", a.Body))
		return
	}
	w.fates[name] = there
	w.ids = append(w.ids, made.ID)
	w.names[made.ID] = name
}

func (w *writer) delete(ctx context.Context) {
	w.mu.Lock()
	if len(w.ids) < 5 {
		w.mu.Unlock()
		return
	}
	id := w.ids[0]
	w.ids = w.ids[1:]
	name := w.names[id]
	w.fates[name] = unknown
	w.mu.Unlock()
	if _, ok := w.ask(ctx, "DELETE", "/api/groups/"+id, nil); ok {
		w.mu.Lock()
		w.fates[name] = gone
		w.mu.Unlock()
	}
}

// last is when the last write was acknowledged.
func (w *writer) last() time.Time {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.lastGood
}

// acknowledged is what was, until now.
func (w *writer) acknowledged() map[string]fate {
	w.mu.Lock()
	defer w.mu.Unlock()
	return maps.Clone(w.fates)
}

// wrong compares what had been acknowledged before REST was asked with what it lists. What the writer has begun since does not count.
func (w *writer) wrong(before map[string]fate, listed map[string]int) []string {
	w.mu.Lock()
	defer w.mu.Unlock()
	found := w.odd
	w.odd = nil
	for name, f := range before {
		switch n := listed[name]; {
		case f == there && n == 0 && w.fates[name] == there:
			found = append(found, name+" was made, and is not there")
		case f == gone && n > 0:
			found = append(found, name+" was deleted, and is there")
		case n > 1:
			found = append(found, fmt.Sprintf("%s is there %d times", name, n))
		}
	}
	return found
}
