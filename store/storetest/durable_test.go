package storetest

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"io"
	"os"
	"path/filepath"
	"slices"
	"testing"

	"github.com/remint-go/remint"
)

// journal is a reference store that writes each batch to a file before it does it. It
// does not call fsync: what it survives is the end of its process.
type journal struct {
	*reference
	file    *os.File
	flaws   flaws
	waiting []byte // not written yet
}

// flaws are what is wrong with a journal.
type flaws struct {
	noRecords, noDeletes, noTouches, noEvents, noTrims bool // in the file

	noEmptyFile bool // cannot be read
	renumber    bool // events, when the file is opened
	expire      bool // cursors, then
	buffered    bool // until Close
	halves      bool // of batches are written with the next one
}

// entry is a batch in the file.
type entry struct {
	Put, Delete, Touch, Log [][]byte
	Trim                    remint.Cursor
}

func (f flaws) open(dir string) remint.Store {
	file, err := os.OpenFile(filepath.Join(dir, "journal"), os.O_RDWR|os.O_CREATE|os.O_APPEND, 0o600)
	if err != nil {
		panic(err)
	}
	s := &journal{reference: newReference(), file: file, flaws: f}
	whole, entries := int64(0), 0
	for r := bufio.NewReader(file); ; entries++ {
		line, err := r.ReadBytes('\n')
		if errors.Is(err, io.EOF) { // and what there is of a line was torn by a kill
			break
		}
		var e entry
		if err = errors.Join(err, json.Unmarshal(line, &e)); err == nil {
			err = s.finish(e.batch())
		}
		if err != nil {
			panic(err)
		}
		whole += int64(len(line))
	}
	if err := file.Truncate(whole); err != nil {
		panic(err)
	}
	if f.renumber {
		s.trimmed = 0
	}
	if f.expire && entries > 0 {
		s.trimmed += 1000
	}
	if _, err := os.Stat(filepath.Join(dir, "opened")); err == nil && f.noEmptyFile && entries == 0 {
		panic("the file is empty")
	}
	if err := os.WriteFile(filepath.Join(dir, "opened"), nil, 0o600); err != nil {
		panic(err)
	}
	return s
}

func (s *journal) Close() error {
	_, err := s.file.Write(s.waiting)
	return errors.Join(err, s.file.Close())
}

func (s *journal) Commit(ctx context.Context, b remint.Batch) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if err := s.conflict(b); err != nil {
		return err
	}
	if _, err := s.position(b.Trim); err != nil {
		return err
	}
	if err := s.write(b); err != nil {
		return err
	}
	return s.finish(b)
}

func (s *journal) write(b remint.Batch) error {
	if s.flaws.halves && len(b.Put) > 1 {
		half := remint.Batch{Put: b.Put[1:]}
		b.Put = b.Put[:1]
		now := append(s.waiting, s.line(b)...)
		s.waiting = s.line(half)
		_, err := s.file.Write(now)
		return err
	}
	s.waiting = append(s.waiting, s.line(b)...)
	if s.flaws.buffered {
		return nil
	}
	_, err := s.file.Write(s.waiting)
	s.waiting = nil
	return err
}

func (s *journal) line(b remint.Batch) []byte {
	var e entry
	for _, p := range b.Put {
		e.Put = append(e.Put, encode(p.Record))
	}
	for _, r := range b.Delete {
		e.Delete = append(e.Delete, encode(r))
	}
	for _, r := range b.Touch {
		e.Touch = append(e.Touch, encode(r))
	}
	for _, event := range b.Log {
		data, err := event.AppendBinary(nil)
		if err != nil {
			panic(err)
		}
		e.Log = append(e.Log, data)
	}
	e.Trim = b.Trim
	for _, f := range []struct {
		broken bool
		list   *[][]byte
	}{{s.flaws.noRecords, &e.Put}, {s.flaws.noDeletes, &e.Delete}, {s.flaws.noTouches, &e.Touch}, {s.flaws.noEvents, &e.Log}} {
		if f.broken {
			*f.list = nil
		}
	}
	if s.flaws.noTrims || s.flaws.noEvents {
		e.Trim = ""
	}
	data, err := json.Marshal(e)
	if err != nil {
		panic(err)
	}
	return append(data, '\n')
}

func (e entry) batch() (b remint.Batch) {
	for _, data := range e.Put {
		b.Put = append(b.Put, remint.Put{Record: parse(data)})
	}
	for _, data := range e.Delete {
		b.Delete = append(b.Delete, parse(data))
	}
	for _, data := range e.Touch {
		b.Touch = append(b.Touch, parse(data))
	}
	for _, data := range e.Log {
		event, err := remint.ParseEvent(data)
		if err != nil {
			panic(err)
		}
		b.Log = append(b.Log, event)
	}
	b.Trim = e.Trim
	return b
}

func parse(data []byte) *remint.Record {
	r, err := remint.ParseRecord(data)
	if err != nil {
		panic(err)
	}
	return r
}

func TestJournalPasses(t *testing.T) {
	Run(t, func(t *testing.T) remint.Store { return flaws{}.open(t.TempDir()) })
}

func TestJournalIsDurable(t *testing.T) {
	RunDurable(t, func(t *testing.T, dir string) remint.Store { return flaws{}.open(dir) })
}

func TestJournalIsDurableInASubtest(t *testing.T) {
	t.Run("a name with (special) characters", func(t *testing.T) {
		RunDurable(t, func(t *testing.T, dir string) remint.Store { return flaws{}.open(dir) })
	})
}

func TestBrokenDurableStoresAreCaught(t *testing.T) {
	const killed = "what was acknowledged is there after a kill, and nothing by halves"
	caught := map[string]bool{}
	for _, b := range []struct {
		caught, flaw string
		flaws        flaws
	}{
		{"an empty store can be opened again", "cannot read an empty file", flaws{noEmptyFile: true}},
		{"records, indexes and events are there after opening again", "forgets records", flaws{noRecords: true}},
		{"records, indexes and events are there after opening again", "forgets events", flaws{noEvents: true}},
		{"revisions and guards go on after opening again", "forgets deletes", flaws{noDeletes: true}},
		{"touches are there after opening again", "forgets touches", flaws{noTouches: true}},
		{"a cursor goes on after opening again", "has other cursors", flaws{expire: true}},
		{"a log that was trimmed to nothing goes on after opening again", "forgets trims", flaws{noTrims: true}},
		{"a log that was trimmed to nothing goes on after opening again", "counts from 1 again", flaws{renumber: true}},
		{killed, "writes when it is closed", flaws{buffered: true}},
		{killed, "writes half a batch", flaws{halves: true}},
	} {
		t.Run(b.flaw, func(t *testing.T) {
			if isVictim(t.Name()) {
				commitUntilKilled(t, b.flaws.open)
				return
			}
			i := slices.IndexFunc(durableChecks, func(c durableCheck) bool { return c.name == b.caught })
			test := t.Name()
			failures := failuresOf(t, func(tb testing.TB) {
				newDurable(tb, test, b.flaws.open).do(durableChecks[i])
			})
			if len(failures) == 0 {
				t.Fatalf("it passes %q", b.caught)
			}
			t.Log(failures[0])
		})
		caught[b.caught] = true
	}
	for _, c := range durableChecks {
		if !caught[c.name] {
			t.Errorf("there is no broken store to be caught by %q", c.name)
		}
	}
}
