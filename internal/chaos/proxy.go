// Package chaos loses, cuts, delays and repeats what clients and a service say to each other,
// and what the service says to its store, so that tests can see what a client is left with.
package chaos

import (
	"bufio"
	"bytes"
	"io"
	"net"
	"net/http"
	"sync"
	"time"
)

// A Fault is what happens to one exchange. The zero Fault is none.
type Fault struct {
	Lose   bool // the request does not arrive
	Late   bool // the request arrives at [Proxy.Release], when the client has given it up
	Twice  bool // the request arrives twice, and the first answer counts, …
	Second bool // … or the second, …
	Race   bool // … or both arrive at the same time, and the first one's counts

	// Before is called when the client has sent the request, and before it arrives.
	Before func()
	// Then is called when the service has answered, before any of it passes.
	Then func()
	// Cut returns how many bytes of the answer pass before the connection ends. Nil: all.
	Cut func(answer []byte) int
}

// Nothing of an answer passes.
func Nothing([]byte) int { return 0 }

// Half an answer passes: its header and half of its body.
func Half(answer []byte) int {
	body := bytes.Index(answer, []byte("\r\n\r\n")) + 4
	return body + (len(answer)-body)/2
}

// A Proxy stands between clients and a service, on loopback.
type Proxy struct {
	listener net.Listener

	mu      sync.Mutex
	service string
	idle    []*link // to the service
	faults  []Fault
	late    [][]byte
	last    []byte

	serving sync.WaitGroup
}

// NewProxy returns a Proxy that listens, until it is closed.
func NewProxy() (*Proxy, error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	p := &Proxy{listener: l}
	p.serving.Go(func() {
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			p.serving.Go(func() { p.serve(conn.(*net.TCPConn)) })
		}
	})
	return p, nil
}

// URL is where clients find the service.
func (p *Proxy) URL() string { return "http://" + p.listener.Addr().String() }

// Serve sends requests to the service at addr from now on.
func (p *Proxy) Serve(addr string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, l := range p.idle {
		l.Close()
	}
	p.service, p.idle = addr, nil
}

// Close waits for the exchanges under way.
func (p *Proxy) Close() {
	p.listener.Close()
	p.serving.Wait()
	p.Serve("")
}

// Next says what happens to the next exchanges, in their order.
func (p *Proxy) Next(faults ...Fault) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.faults = append(p.faults, faults...)
}

// Calm drops what was said to happen and has not, and returns whether there was any.
func (p *Proxy) Calm() bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	left := len(p.faults) > 0
	p.faults = nil
	return left
}

// Release lets the late requests arrive, one after the other. Nobody hears the answers.
func (p *Proxy) Release() {
	p.mu.Lock()
	late := p.late
	p.late = nil
	p.mu.Unlock()
	for _, request := range late {
		p.forward(request)
	}
}

// Again lets the request that arrived last arrive once more. Nobody hears the answer.
func (p *Proxy) Again() {
	p.mu.Lock()
	last := p.last
	p.mu.Unlock()
	p.forward(last)
}

// NewClient returns a client for proxies. It has one exchange for each connection, so that what
// happens to one happens to no other, and nothing is repeated by the transport.
func NewClient() *http.Client {
	return &http.Client{Transport: &http.Transport{DisableKeepAlives: true}}
}

// Thousands of worlds have tens of thousands of connections, and the end that closes one first keeps
// its port for a minute. So the proxy waits for the client to do that, and then resets it; it keeps its
// own to the service, and resets those, too.

// patience is how long a client may take to close a connection.
const patience = 5 * time.Second

func (p *Proxy) serve(conn *net.TCPConn) {
	defer conn.Close()
	conn.SetLinger(0) // to close is to reset
	var request bytes.Buffer
	r, err := http.ReadRequest(bufio.NewReader(io.TeeReader(conn, &request)))
	if err != nil {
		return
	}
	if _, err := io.Copy(io.Discard, r.Body); err != nil {
		return
	}
	answer := []byte("HTTP/1.1 505 The proxy needs Connection: close\r\nConnection: close\r\nContent-Length: 0\r\n\r\n")
	whole := true
	if r.Close {
		answer, whole = p.exchange(request.Bytes())
	}
	if len(answer) == 0 {
		return
	}
	conn.Write(answer)
	if !whole {
		conn.CloseWrite() // the end of a connection, and no error, is what is easily taken for the end of an answer
	}
	conn.SetReadDeadline(time.Now().Add(patience))
	io.Copy(io.Discard, conn)
}

// exchange lets a fault happen, and returns what the client hears, and whether it is the whole answer.
func (p *Proxy) exchange(request []byte) (answer []byte, whole bool) {
	f := p.next()
	switch {
	case f.Lose:
		return nil, false
	case f.Late:
		p.mu.Lock()
		p.late = append(p.late, request)
		p.mu.Unlock()
		return nil, false
	case f.Before != nil:
		f.Before()
	}
	var race sync.WaitGroup
	if f.Race {
		race.Go(func() { p.forward(request) })
	}
	answer = p.forward(request)
	race.Wait()
	if f.Twice || f.Second {
		second := p.forward(request)
		if f.Second {
			answer = second
		}
	}
	if f.Then != nil {
		f.Then()
	}
	if f.Cut == nil {
		return answer, true
	}
	n := min(f.Cut(answer), len(answer))
	return answer[:n], n == len(answer)
}

func (p *Proxy) next() (f Fault) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if len(p.faults) > 0 {
		f, p.faults = p.faults[0], p.faults[1:]
	}
	return f
}

// forward returns the service's answer, or nil if there is none.
func (p *Proxy) forward(request []byte) []byte {
	p.mu.Lock()
	p.last = request
	service := p.service
	var l *link
	if n := len(p.idle); n > 0 {
		l, p.idle = p.idle[n-1], p.idle[:n-1]
	}
	p.mu.Unlock()
	if l == nil {
		conn, err := net.Dial("tcp", service)
		if err != nil {
			return nil
		}
		l = newLink(conn.(*net.TCPConn))
	}
	answer, err := l.exchange(request)
	p.mu.Lock()
	defer p.mu.Unlock()
	if err != nil || service != p.service {
		l.Close()
	} else {
		p.idle = append(p.idle, l)
	}
	return answer
}
