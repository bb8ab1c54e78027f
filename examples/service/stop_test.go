package main

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/netip"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/remint-go/remint"
	"github.com/remint-go/remint/store"
)

// Stopping is tested in bubbles, where time passes only when everybody waits: how long it
// takes is exact.

// pipes are connections within a bubble: TCP's would stop its clock.
type pipes struct {
	dial, closed chan net.Conn
	once         sync.Once
}

func (p *pipes) Accept() (net.Conn, error) {
	select {
	case c := <-p.dial:
		return c, nil
	case <-p.closed:
		return nil, net.ErrClosed
	}
}

func (p *pipes) Close() error   { p.once.Do(func() { close(p.closed) }); return nil }
func (p *pipes) Addr() net.Addr { return &net.UnixAddr{Name: "pipe"} }

// A stopping service has a request under way, of which half has arrived.
type stopping struct {
	conn   net.Conn // the client's end
	rest   string   // of the request
	log    bytes.Buffer
	issuer *remint.Issuer
	stop   func()     // as a signal does
	done   chan error // what serve returns
}

func startStopping(t *testing.T, s remint.Store) *stopping {
	x := &stopping{done: make(chan error, 1)}
	var err error
	if x.issuer, err = remint.New(s, &remint.Options{Prefixes: prefixes}); err != nil {
		t.Fatal(err)
	}
	master, err := x.issuer.Operator("test").Issue(t.Context(), remint.Spec{Prefix: masterPrefix, Capabilities: remint.Allow("*")})
	if err != nil {
		t.Fatal(err)
	}
	var ctx context.Context
	ctx, x.stop = context.WithCancel(t.Context())
	p := &pipes{dial: make(chan net.Conn), closed: make(chan net.Conn)}
	go func() { x.done <- serve(ctx, p, x.issuer, slog.New(slog.NewTextHandler(&x.log, nil))) }()

	client, server := net.Pipe()
	t.Cleanup(func() {
		client.Close()
		time.Sleep(time.Second) // connections linger for half of one
	})
	p.dial <- server
	x.conn = client
	body := `{"name":"late","orgCapabilities":{"users":["read"]}}`
	x.rest = body[10:]
	_, err = fmt.Fprintf(client, "POST /v2/tokens HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer %s\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n%s",
		master.Secret.Reveal(), len(body), body[:10])
	if err != nil {
		t.Fatal(err)
	}
	synctest.Wait() // until the route waits for the rest
	return x
}

func TestStoppingFinishesTheRequestUnderWay(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		x := startStopping(t, new(store.Memory))
		x.stop()
		time.Sleep(shutdownTime - time.Second) // a slow client
		if _, err := io.WriteString(x.conn, x.rest); err != nil {
			t.Fatal(err)
		}
		resp, err := http.ReadResponse(bufio.NewReader(x.conn), nil)
		if err != nil {
			t.Fatal(err)
		}
		defer resp.Body.Close()
		var m map[string]any
		if err := json.NewDecoder(resp.Body).Decode(&m); err != nil || resp.StatusCode != 200 {
			t.Fatalf("%d %v", resp.StatusCode, err)
		}
		if err := <-x.done; err != nil || strings.Contains(x.log.String(), "cut off") {
			t.Errorf("%v, %s", err, &x.log)
		}
		late, _ := m["token"].(string)
		if _, err := x.issuer.Verify(t.Context(), late, netip.Addr{}); err != nil {
			t.Error(err)
		}
	})
}

func TestStoppingWaitsForNobodyLongerThanFiveSeconds(t *testing.T) {
	for name, s := range map[string]func() remint.Store{
		"a client that sends no more":     func() remint.Store { return new(store.Memory) },
		"and a store that does not sweep": func() remint.Store { return &stuck{Store: new(store.Memory)} },
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				x := startStopping(t, s())
				begun := time.Now()
				x.stop()
				if err := <-x.done; err != nil {
					t.Error(err)
				}
				if d := time.Since(begun); d < shutdownTime || d > 5*time.Second {
					t.Errorf("it took %v", d)
				}
				if !strings.Contains(x.log.String(), "cut off") {
					t.Errorf("logged %s", &x.log)
				}
			})
		})
	}
}

// stuck is a store whose housekeeping does not end by itself.
type stuck struct{ remint.Store }

func (stuck) Due(ctx context.Context, _ time.Time, _ int) ([]*remint.Record, error) {
	<-ctx.Done()
	return nil, ctx.Err()
}
