package harness

import (
	"net"
	"sync"
	"testing"
	"time"
)

// ProxyFault is what a Proxy does to its connections. What it holds back arrives when it passes things on again, as after a
// network that was away.
type ProxyFault int

const (
	ProxyPasses        ProxyFault = iota
	ProxyDelays                   // 300 ms each way
	ProxyRefuses                  // new connections, the others go on
	ProxyHoles                    // holds back everything, both ways
	ProxyHoldsRequests            // what clients send
	ProxyHoldsAnswers             // what the server sends
	proxyFaults
)

// ProxyFaults are all there are but none.
func ProxyFaults() []ProxyFault {
	var all []ProxyFault
	for f := ProxyDelays; f < proxyFaults; f++ {
		all = append(all, f)
	}
	return all
}

func (f ProxyFault) String() string {
	return [...]string{"passes", "delays", "refuses", "holds everything", "holds requests", "holds answers"}[f]
}

// Proxy stands between clients and a server, over TCP.
type Proxy struct {
	At string
	to string

	mu      sync.Mutex
	fault   ProxyFault
	changed chan struct{} // closed when the fault is another one
	conns   map[net.Conn]bool
}

// NewProxy listens on a port of loopback until the test ends.
func NewProxy(t testing.TB, to string) *Proxy {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	p := &Proxy{At: l.Addr().String(), to: to, changed: make(chan struct{}), conns: map[net.Conn]bool{}}
	t.Cleanup(func() {
		_ = l.Close()
		p.Set(ProxyPasses)
		p.Cut()
	})
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			go p.serve(c)
		}
	}()
	return p
}

// Set changes what happens from now on, to the connections that there are as well.
func (p *Proxy) Set(f ProxyFault) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.fault = f
	close(p.changed)
	p.changed = make(chan struct{})
}

// Cut ends every connection with a reset.
func (p *Proxy) Cut() {
	p.mu.Lock()
	defer p.mu.Unlock()
	for c := range p.conns {
		_ = c.(*net.TCPConn).SetLinger(0)
		_ = c.Close()
	}
}

func (p *Proxy) now() (ProxyFault, chan struct{}) {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.fault, p.changed
}

func (p *Proxy) keep(c net.Conn, keep bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if keep {
		p.conns[c] = true
	} else {
		delete(p.conns, c)
	}
}

// passes waits while the fault holds things that go this way.
func (p *Proxy) passes(request bool) {
	for {
		fault, changed := p.now()
		switch {
		case fault == ProxyDelays:
			time.Sleep(300 * time.Millisecond)
			return
		case fault == ProxyHoles, fault == ProxyHoldsRequests && request, fault == ProxyHoldsAnswers && !request:
			<-changed
		default:
			return
		}
	}
}

func (p *Proxy) serve(client net.Conn) {
	if fault, _ := p.now(); fault == ProxyRefuses {
		_ = client.(*net.TCPConn).SetLinger(0)
		_ = client.Close()
		return
	}
	server, err := net.DialTimeout("tcp", p.to, time.Second)
	if err != nil {
		_ = client.(*net.TCPConn).SetLinger(0)
		_ = client.Close()
		return
	}
	p.keep(client, true)
	p.keep(server, true)
	var both sync.WaitGroup
	both.Add(2)
	go func() { defer both.Done(); p.pump(server, client, true) }()
	go func() { defer both.Done(); p.pump(client, server, false) }()
	both.Wait()
	p.keep(client, false)
	p.keep(server, false)
}

// pump ends both connections when one has ended.
func (p *Proxy) pump(to, from net.Conn, request bool) {
	buf := make([]byte, 64<<10)
	for {
		n, err := from.Read(buf)
		if n > 0 {
			p.passes(request)
			if _, err := to.Write(buf[:n]); err != nil {
				break
			}
		}
		if err != nil {
			p.passes(request)
			break
		}
	}
	_ = to.Close()
	_ = from.Close()
}
