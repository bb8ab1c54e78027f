package crash

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/remint-go/remint"
	storebolt "github.com/remint-go/remint/store_bolt"
)

// victimVariable tells a process that it is to be killed.
const victimVariable = "REMINT_CRASH_VICTIM"

func TestMain(m *testing.M) {
	if os.Getenv(victimVariable) != "" {
		if err := beVictim(); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		return
	}
	os.Exit(m.Run())
}

// A victim works until it is killed, or has done what it was told.
type victim struct {
	plan
	clock  *clock
	issuer *remint.Issuer
	next   atomic.Uint64 // number of a step
	acked  atomic.Int64
	enough chan struct{} // closed after CloseAfter
	wallet wallet
}

func beVictim() error {
	in := bufio.NewReader(os.Stdin)
	order, err := in.ReadBytes('\n')
	if err != nil {
		return err
	}
	go func() {
		io.Copy(io.Discard, in) // until the parent has died itself
		os.Exit(1)
	}()
	v := &victim{enough: make(chan struct{})}
	if err := json.Unmarshal(order, &v.plan); err != nil {
		return err
	}
	v.clock = startClock(v.Start)
	v.next.Store(v.First)
	v.wallet.take(v.Holdings)

	say(lineOpening, "")
	db, err := storebolt.Open(v.Path, nil)
	if err != nil {
		return err
	}
	if v.issuer, err = remint.New(db, options(v.clock.now)); err != nil {
		return err
	}
	say(lineReady, "")
	first := &worker{victim: v, random: rand.New(rand.NewPCG(v.Seed, 0))}
	for _, s := range v.Again {
		first.take(s)
	}
	var stopped sync.WaitGroup
	for n := range v.Workers {
		stopped.Go(func() { v.work(n) })
	}
	<-v.enough // while the workers go on
	say(lineClosing, "")
	if err := db.Close(); err != nil {
		return err
	}
	say(lineClosed, "")
	stopped.Wait()
	return nil
}

// say writes a line.
func say(letter byte, content string) {
	if _, err := os.Stdout.Write([]byte(string(letter) + content + "\n")); err != nil {
		os.Exit(1) // the parent is gone
	}
}

func tell(letter byte, content any) {
	b, err := json.Marshal(content)
	if err != nil {
		panic(err) // numbers and texts always can be
	}
	say(letter, string(b))
}

// work takes steps until the file is closed.
func (v *victim) work(n int) {
	w := &worker{victim: v, n: n, random: rand.New(rand.NewPCG(v.Seed, uint64(n)))}
	for {
		if err := w.take(w.draw()); errors.Is(err, remint.ErrUnavailable) {
			return
		}
	}
}

// take takes a step, and tells of it before and after.
func (w *worker) take(s step) error {
	s.N, s.At = w.next.Add(1), w.clock.micros()
	if s.Kind == kindSelf {
		s.Key = fmt.Sprintf("the key of step %10d", s.N)
	}
	tell(lineBegin, s)
	a, err := w.do(&s)
	a.N, a.At = s.N, w.clock.micros()
	if err != nil {
		a.Err = err.Error()
	}
	tell(lineAck, a)
	w.learn(&s, &a, err) // and only then lets others know
	if w.acked.Add(1) == int64(w.CloseAfter) {
		close(w.enough)
	}
	return err
}

// do takes a step.
func (v *victim) do(s *step) (ack, error) {
	ctx := context.Background()
	op := v.issuer.Operator(s.operator())
	switch s.Kind {
	case kindIssue:
		g, err := op.Issue(ctx, remint.Spec{
			Name: s.Name, Owner: s.Owner, Capabilities: capabilities(s.Caps), Attributes: attributes(s.Note),
			ExpiresAt: toTime(s.Expires), Parent: s.ID,
		})
		return granted(g, err)
	case kindSession:
		g, err := op.StartSession(ctx, s.ID, remint.Session{Lifetime: micros(s.Lifetime)})
		return granted(g, err)
	case kindRotate:
		r := remint.Rotation{Retire: s.retirement(), KeepSessions: s.Keep}
		if s.Successor {
			r.Successor = new(remint.Successor)
		}
		if s.Successor && s.Expires != 0 {
			r.Successor.ExpiresAt = new(toTime(s.Expires))
		}
		g, err := op.Rotate(ctx, s.ID, r)
		return granted(g, err)
	case kindCancel:
		return returned(op.CancelRotation(ctx, s.ID))
	case kindFinish:
		return returned(op.FinishRotation(ctx, s.ID))
	case kindUpdate:
		return returned(op.Update(ctx, s.ID, func(spec *remint.Spec) error {
			spec.Name, spec.Capabilities, spec.Attributes = s.Name, capabilities(s.Caps), attributes(s.Note)
			return nil
		}))
	case kindRevoke:
		return ack{}, op.Revoke(ctx, s.ID)
	case kindEnd:
		return ack{}, op.EndSessions(ctx, s.ID)
	case kindVerify:
		return returned(v.issuer.Verify(ctx, s.Text, s.from()))
	case kindSelf, kindAgain:
		bearer := v.issuer.Bearer(s.Text, s.from()).WithRetryKey(s.Key, 0)
		g, err := bearer.Rotate(ctx, s.ID, remint.Rotation{Retire: s.retirement(), KeepSessions: s.Keep})
		return granted(g, err)
	case kindSweep:
		return ack{}, v.issuer.Sweep(ctx)
	}
	panic(fmt.Sprintf("no such kind: %q", s.Kind))
}

func granted(g remint.Grant, err error) (ack, error) {
	if err != nil {
		return ack{}, err
	}
	return ack{ID: g.Token.ID(), Revision: g.Token.State().Revision, Text: g.Secret.Reveal()}, nil
}

func returned(t remint.Token, err error) (ack, error) {
	if err != nil {
		return ack{}, err
	}
	return ack{ID: t.ID(), Revision: t.State().Revision}, nil
}
