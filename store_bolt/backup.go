package storebolt

import (
	"context"
	"io"
)

// Backup writes a copy of the whole file to w, with the buckets of an application if there are
// any: as it is at one moment after the call began, with every commit that had returned
// by then. [Open] opens it like any other file. The service goes on meanwhile. What a copy
// revives once it takes the file's place, [remint.Actor.AfterRestore] ends.
//
// If ctx ends, or w fails, the error is that, and what was written is of no use. It is looked
// at between writes: a w that blocks is not interrupted. If w is a file, sync it before you
// rely on it.
//
// Backup reads the file in a transaction of bbolt's, and pages that commits free are not used
// again as long as it lasts: so let w be a file on a local disk, and send that one on. As
// much as is rewritten meanwhile, the file may grow. In a file that was opened for [New] without
// a large InitialMmapSize, commits wait for Backup once that outgrows what is mapped, and so
// does Close always.
func (s *Store) Backup(ctx context.Context, w io.Writer) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	err := s.view("back up", func(v *view) error {
		to := &writer{ctx: ctx, w: w}
		_, err := v.tx.WriteTo(to)
		if to.err != nil {
			return to.err // which bbolt does not wrap
		}
		return err
	})
	if ctx.Err() != nil && err != nil {
		return ctx.Err()
	}
	return err
}

// A writer ends with its context. (It is no io.ReaderFrom: that would be one write.)
type writer struct {
	ctx context.Context
	w   io.Writer
	err error
}

func (w *writer) Write(b []byte) (n int, err error) {
	if n, err = 0, w.ctx.Err(); err == nil {
		n, err = w.w.Write(b)
	}
	if err != nil {
		w.err = err
	}
	return n, err
}
