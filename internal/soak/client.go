package soak

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"net/http/httptrace"
	"strconv"
	"sync"
	"time"

	"github.com/remint-go/remint"
	"github.com/remint-go/remint/httpadapter"
)

// A client is one owner's. It makes one request after the other.
type client struct {
	*Soak
	k     int
	owner string
	rng   *rand.Rand
	http  *http.Client
	close func()

	belief  belief
	serial  int
	had     []string // secrets that it has been told, the newest last
	repeats []*act   // with a key, the newest last
	lost    *act     // the last request that was not answered, if it can be repeated
	works   []string // secrets that worked when it looked last
	stopped []string // and some that did not work any more then: it makes sure
	journal journal
	told    int // how often it was given a new master
}

// answerTime is how long a client waits for an answer: none takes that long.
const answerTime = time.Minute

func newClient(s *Soak, k int) *client {
	transport := &http.Transport{DialContext: s.service.connections.dial, MaxIdleConnsPerHost: 1}
	return &client{
		Soak: s, k: k, owner: fmt.Sprintf("client-%d", k), rng: rand.New(rand.NewPCG(s.Seed, uint64(k))),
		http:  &http.Client{Transport: transport, CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }},
		close: transport.CloseIdleConnections, belief: belief{new(world)},
	}
}

// run acts until ctx ends, at the soak's pace.
func (c *client) run(ctx context.Context) {
	defer c.close()
	var pace <-chan time.Time
	if c.Rate > 0 {
		every := time.Duration(float64(time.Second) / c.Rate)
		tick := time.NewTicker(every)
		defer tick.Stop()
		pace = tick.C
	}
	for ctx.Err() == nil {
		if pace != nil {
			select { // load, and nothing that is waited for
			case <-pace:
			case <-ctx.Done():
				return
			}
		}
		c.step()
	}
}

// perform makes a request and holds its answer against what the client believes. With faults, it may be cut off: the
// client gives up after up to 4 ms, or the service's answer is lost.
func (c *client) perform(a *act, faults bool) *reply {
	c.serial++
	a.serial = c.serial
	ctx, cancel := context.WithTimeout(context.Background(), answerTime)
	defer cancel()
	r := a.request(c.service.url)
	fault := ""
	if faults {
		share := 5 // in 100, of each of the two
		if a.method == http.MethodGet {
			share = 2
		}
		switch x := c.rng.IntN(100); {
		case x < share:
			fault = "given up"
			timer := time.AfterFunc( // a client that loses its patience, and nothing that is waited for
				time.Duration(c.rng.IntN(4000))*time.Microsecond, cancel)
			defer timer.Stop()
		case x < 2*share:
			fault = "cut"
			r.Header.Set(cut, "yes")
		}
	}
	var used []*connection
	var mu sync.Mutex
	ctx = httptrace.WithClientTrace(ctx, &httptrace.ClientTrace{GotConn: func(i httptrace.GotConnInfo) {
		mu.Lock()
		defer mu.Unlock()
		used = append(used, i.Conn.(*connection))
	}})
	from := now()
	begun := time.Now()
	s, err := c.send(r.WithContext(ctx))
	took := time.Since(begun)
	if s == nil {
		mu.Lock()
		conns := used
		mu.Unlock()
		for _, conn := range conns {
			<-conn.served
		}
	}
	to := now()

	got := describe(s, fault, err)
	c.note(from, a, got, s == nil)
	if s == nil && fault == "" {
		c.wrong(a, from, got, []string{"there should be an answer"})
		return nil
	}
	return c.judge(a, from, to, took, s, got)
}

// judge holds an answer against what the client believes, and returns it if it is right. nil is one that was lost.
func (c *client) judge(a *act, from, to int64, took time.Duration, s *reply, got string) *reply {
	v := c.belief.judge(a, from, to, s)
	c.count(a, took, s, v)
	switch {
	case v.wrong != nil:
		c.wrong(a, from, got, v.wrong)
		return nil
	case s == nil:
		if a.key != "" || a.repeats {
			c.lost = a
		}
		return nil
	}
	if x := a.format.refusals[denied]; s.status == x.status && a.format.code(s.object) == x.code {
		if other := c.alike(a.kind, s); other != "" {
			c.wrong(a, from, got, []string{"denials look alike, and another was " + other})
			return nil
		}
	}
	if a.then != nil {
		a.then(s)
	}
	return s
}

func (c *client) send(r *http.Request) (*reply, error) {
	resp, err := c.http.Do(r)
	if err != nil {
		return nil, err
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		return nil, err
	}
	return newReply(resp.StatusCode, resp.Header, body), nil
}

func describe(s *reply, fault string, err error) string {
	if s == nil {
		return fmt.Sprintf("%s: %v", fault, err)
	}
	return fmt.Sprintf("%d %s", s.status, s.body)
}

// wrong reports an answer that is right in no world. What the client believed is worth nothing then: it begins anew,
// as somebody else.
func (c *client) wrong(a *act, from int64, got string, want []string) {
	c.report(c, a, from, got, want)
	c.owner += "'"
	c.belief, c.had, c.repeats, c.lost, c.works, c.stopped, c.journal = belief{new(world)}, nil, nil, nil, nil, nil, nil
}

// enroll gives the client a master, as an administrator of the service does. What it had before is revoked.
func (c *client) enroll() {
	admin := c.service.issuer.Operator("admin")
	stale := map[string]bool{}
	for _, w := range c.belief {
		for _, t := range w.tokens {
			if t.prefix == masterPrefix && t.id != "" {
				stale[t.id] = true
			}
		}
	}
	for id := range stale {
		from := now()
		parsed, err := remint.ParseID(id)
		if err == nil {
			err = admin.Revoke(context.Background(), parsed)
		}
		if err != nil && !errors.Is(err, remint.ErrNotFound) {
			c.service.fault("revoking a master: %v", err)
		}
		c.belief.each(from, now(), 0, func(r *run) {
			if t := r.target(id); t != nil {
				r.revoke(t)
			}
		})
	}
	c.told++
	c.issue(remint.Spec{Name: fmt.Sprintf("master-%d", c.told), Capabilities: remint.Allow("*"), Prefix: masterPrefix}, []string{"*"}, 0)
}

// issue makes a token for the client, as an administrator.
func (c *client) issue(s remint.Spec, caps []string, limit int) {
	s.Owner = c.owner
	if limit > 0 {
		s.Attributes = map[string]string{httpadapter.RateLimitAttribute: strconv.Itoa(limit)}
	}
	from := now()
	g, err := c.service.issuer.Operator("admin").Issue(context.Background(), s)
	if err != nil {
		c.service.fault("issuing: %v", err)
		return
	}
	c.serial++
	text := g.Secret.Reveal()
	c.belief.each(from, now(), c.serial, func(r *run) {
		t := r.w.add(token{
			n: r.serial, id: g.Token.ID().String(), name: s.Name, prefix: s.Prefix, caps: caps, epoch: 1, made: r.now(), limit: limit,
		})
		r.secretFor(t, true)
		t.slots[newest].text = text
	})
	c.tell(text)
}

// tell remembers a secret.
func (c *client) tell(text string) {
	if text == "" { // it was refused
		return
	}
	if len(c.had) == 48 {
		c.had = c.had[1:]
	}
	c.had = append(c.had, text)
}
