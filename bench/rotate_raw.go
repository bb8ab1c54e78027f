package main

import (
	"context"
	"encoding/binary"
	"errors"
	"runtime"

	"go.etcd.io/bbolt"

	"github.com/remint-go/remint"
)

// A rawBolt writes to bbolt what storebolt writes for a rotation, and does nothing else for it: a
// record under its ID, and an event at the next position.
type rawBolt struct {
	db            *bbolt.DB
	ids           []remint.ID
	record, event []byte
}

var (
	rawRecords = []byte("records")
	rawEvents  = []byte("events")
)

// newRaw makes a file with as many records as like has, as long as one that was rotated.
func newRaw(path string, like *rotation) (*rawBolt, error) {
	record, event, err := like.bytes()
	if err != nil {
		return nil, err
	}
	db, err := bbolt.Open(path, 0o600, &bbolt.Options{FreelistType: bbolt.FreelistMapType, InitialMmapSize: 1 << 36})
	if err != nil {
		return nil, err
	}
	w := &rawBolt{db, like.ids, record, event}
	if err := w.fill(); err != nil {
		return nil, errors.Join(err, db.Close())
	}
	return w, nil
}

// bytes rotates a token, and returns what is stored for that.
func (w *rotation) bytes() (record, event []byte, err error) {
	ctx := context.Background()
	g, err := w.op.Rotate(ctx, w.ids[0], remint.Rotation{})
	if err != nil {
		return nil, nil, err
	}
	stored, err := w.store.Load(ctx, g.Token.ID())
	if err != nil {
		return nil, nil, err
	}
	if record, err = stored.AppendBinary(nil); err != nil {
		return nil, nil, err
	}
	var at remint.Cursor
	for {
		events, next, err := w.store.Events(ctx, at, 4096)
		if err != nil {
			return nil, nil, err
		}
		if len(events) == 0 {
			return nil, nil, errors.New("a rotation has no event")
		}
		for _, e := range events {
			if e.Kind == remint.EventRotate && e.Token == g.Token.ID() {
				event, err = e.AppendBinary(nil)
				return record, event, err
			}
		}
		at = next
	}
}

func (w *rawBolt) fill() error {
	if err := w.db.Update(func(tx *bbolt.Tx) error {
		_, err := tx.CreateBucket(rawRecords)
		_, err2 := tx.CreateBucket(rawEvents)
		return errors.Join(err, err2)
	}); err != nil {
		return err
	}
	const size = 10_000
	for from := 0; from < len(w.ids); from += size {
		if err := w.db.Update(func(tx *bbolt.Tx) error {
			for i := from; i < min(from+size, len(w.ids)); i++ {
				if err := w.put(tx, i); err != nil {
					return err
				}
			}
			return nil
		}); err != nil {
			return err
		}
	}
	return nil
}

// put writes one rotation.
func (w *rawBolt) put(tx *bbolt.Tx, i int) error {
	if err := tx.Bucket(rawRecords).Put(w.ids[i][:], w.record); err != nil {
		return err
	}
	events := tx.Bucket(rawEvents)
	events.FillPercent = 0.9 // positions only rise
	position, err := events.NextSequence()
	if err != nil {
		return err
	}
	return events.Put(binary.BigEndian.AppendUint64(nil, position), w.event)
}

func (w *rawBolt) close() error { return w.db.Close() }

// one has a transaction for each rotation.
func (w *rawBolt) one(writers int) func(int) error {
	at := make([]int, writers)
	return func(n int) error {
		return parallel(writers, n, func(worker, _ int) error {
			return w.db.Update(func(tx *bbolt.Tx) error { return w.put(tx, next(at, worker, writers, len(w.ids))) })
		})
	}
}

// inGroups has one goroutine that commits together whatever came during the last commit. Before it
// begins the next, it lets go of the processor a few times, so that those whom it has just answered
// can join.
func (w *rawBolt) inGroups(writers int) func(int) error {
	type request struct {
		i    int
		done chan error
	}
	at := make([]int, writers)
	return func(n int) error {
		in := make(chan request, 256)
		go func() {
			var group []request
			for first := range in {
				group = append(group[:0], first)
				for range 4 {
					for k := len(in); k > 0; k-- {
						group = append(group, <-in)
					}
					runtime.Gosched()
				}
				err := w.db.Update(func(tx *bbolt.Tx) error {
					for _, q := range group {
						if err := w.put(tx, q.i); err != nil {
							return err
						}
					}
					return nil
				})
				for _, q := range group {
					q.done <- err
				}
			}
		}()
		defer close(in)
		return parallel(writers, n, func(worker, _ int) error {
			q := request{next(at, worker, writers, len(w.ids)), make(chan error, 1)}
			in <- q
			return <-q.done
		})
	}
}
