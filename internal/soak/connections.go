package soak

import (
	"context"
	"net"
	"net/http"
	"sync"
)

// connections knows when the server is done with each. A client that gave a request up must know that it is not
// being served any more, before it goes on: what it believes in would have no order otherwise.
type connections struct {
	mu   sync.Mutex
	ends map[string]chan struct{} // by the client's address
	idle sync.WaitGroup
}

// dial is how clients connect.
func (c *connections) dial(ctx context.Context, network, address string) (net.Conn, error) {
	conn, err := new(net.Dialer).DialContext(ctx, network, address)
	if err != nil {
		return nil, err
	}
	return &connection{conn, c.end(conn.LocalAddr().String())}, nil
}

// A connection is a client's end of one.
type connection struct {
	net.Conn
	served <-chan struct{} // closed when the server is done with it
}

// end returns what is closed when the server is done with a connection.
func (c *connections) end(address string) chan struct{} {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.ends == nil {
		c.ends = map[string]chan struct{}{}
	}
	if c.ends[address] == nil {
		c.ends[address] = make(chan struct{})
	}
	return c.ends[address]
}

// state is the server's http.Server.ConnState.
func (c *connections) state(conn net.Conn, s http.ConnState) {
	switch s {
	case http.StateNew:
		c.idle.Add(1)
		c.end(conn.RemoteAddr().String()) // the server may be the first to know of it
	case http.StateClosed, http.StateHijacked:
		address := conn.RemoteAddr().String()
		end := c.end(address)
		c.mu.Lock()
		delete(c.ends, address)
		c.mu.Unlock()
		close(end)
		c.idle.Done()
	}
}

// wait waits until the server is done with all of them.
func (c *connections) wait() { c.idle.Wait() }

// cut is the header that asks for an answer to be lost.
const cut = "Soak-Cut"

// cutting loses answers that clients want to be lost: the request is served, and the connection ends.
func cutting(h http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Header.Get(cut) == "" {
			h.ServeHTTP(w, r)
			return
		}
		h.ServeHTTP(&deaf{w, http.Header{}}, r)
		panic(http.ErrAbortHandler)
	})
}

// deaf is a ResponseWriter that sends nothing.
type deaf struct {
	http.ResponseWriter
	header http.Header
}

func (d *deaf) Header() http.Header         { return d.header }
func (d *deaf) WriteHeader(int)             {}
func (d *deaf) Write(b []byte) (int, error) { return len(b), nil }
func (d *deaf) Unwrap() http.ResponseWriter { return d.ResponseWriter }
