package differential

import (
	"context"
	"slices"
	"time"
)

// shrinkLimit bounds the search for a shorter script.
const shrinkLimit = time.Minute

// shrink leaves out of a script what the difference does not need: first whole kinds of objects, then acts, in pieces that get
// smaller and smaller. A script counts as differing when it has a difference in the same field.
func (b *bench) shrink(ctx context.Context, s *script, p plan, like *difference) *script {
	deadline := time.Now().Add(shrinkLimit)
	differs := func(ops []*op) bool {
		r := b.play(ctx, &script{agents: s.agents, ops: ops}, p)
		return r.err == nil && slices.ContainsFunc(r.found, func(d *difference) bool { return d.Field == like.Field })
	}
	ops, kinds := s.ops, map[string]bool{}
	for _, o := range ops {
		kinds[o.kind] = true
	}
	for _, kind := range sortedKeys(kinds) {
		if time.Now().After(deadline) {
			break
		}
		less := slices.DeleteFunc(slices.Clone(ops), func(o *op) bool { return o.kind == kind })
		if len(less) < len(ops) && differs(less) {
			ops = less
		}
	}
	for size := len(ops) / 2; size > 0 && time.Now().Before(deadline); size /= 2 {
		for from := 0; from+size <= len(ops) && time.Now().Before(deadline); {
			less := slices.Concat(ops[:from], ops[from+size:])
			if differs(less) {
				ops = less
			} else {
				from += size
			}
		}
	}
	return &script{agents: s.agents, ops: ops}
}
