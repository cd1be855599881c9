package harness

import (
	"testing"
	"time"
)

// Eventually fails the test when `check` has not succeeded within the limit; what names the condition.
func Eventually(t testing.TB, limit time.Duration, what string, check func() error) {
	t.Helper()
	if err := Within(limit, check); err != nil {
		t.Fatalf("not within %v: %s: %v", limit, what, err)
	}
}

// Within repeats `check` until it succeeds; after the limit its last error is returned.
func Within(limit time.Duration, check func() error) error {
	return within(limit, 5*time.Millisecond, check)
}

func within(limit, pause time.Duration, check func() error) error {
	deadline := time.Now().Add(limit)
	for {
		err := check()
		if err == nil || time.Now().After(deadline) {
			return err
		}
		time.Sleep(pause)
		if pause < 100*time.Millisecond {
			pause = pause * 3 / 2
		}
	}
}
