package harness

import (
	"bufio"
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"testing"
	"time"
)

var adminClient = &http.Client{Timeout: 5 * time.Second, Transport: &http.Transport{DisableKeepAlives: true}}

// Metrics reads the numbers of a process: one entry a line, keyed by the metric with its labels as printed.
func Metrics(admin string) (map[string]float64, error) {
	resp, err := adminClient.Get("http://" + admin + "/metrics")
	if err != nil {
		return nil, err
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		return nil, fmt.Errorf("/metrics: status %d", resp.StatusCode)
	}
	out := map[string]float64{}
	lines := bufio.NewScanner(resp.Body)
	lines.Buffer(nil, 1<<20)
	for lines.Scan() {
		line := lines.Text()
		if line == "" || line[0] == '#' {
			continue
		}
		at := strings.LastIndexByte(line, ' ')
		if at < 0 {
			return nil, fmt.Errorf("/metrics: odd line %q", line)
		}
		value, err := strconv.ParseFloat(line[at+1:], 64)
		if err != nil {
			return nil, fmt.Errorf("/metrics: %q: %w", line, err)
		}
		out[line[:at]] = value
	}
	return out, lines.Err()
}

// Metric is the sum over all label sets of one metric.
func Metric(t testing.TB, admin, name string) float64 {
	t.Helper()
	all, err := Metrics(admin)
	if err != nil {
		t.Fatal(err)
	}
	sum, found := 0.0, false
	for key, value := range all {
		base, _, _ := strings.Cut(key, "{")
		if base == name {
			sum, found = sum+value, true
		}
	}
	if !found {
		t.Fatalf("%s shows no metric %s", admin, name)
	}
	return sum
}

// Ready asks /readyz and returns its status code.
func Ready(admin string) (int, error) {
	resp, err := adminClient.Get("http://" + admin + "/readyz")
	if err != nil {
		return 0, err
	}
	defer resp.Body.Close()
	return resp.StatusCode, nil
}
