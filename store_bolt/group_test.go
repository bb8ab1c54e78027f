package storebolt

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"strings"
	"sync"
	"testing"

	"go.etcd.io/bbolt"

	"github.com/remint-go/remint"
	"github.com/remint-go/remint/internal/recordtest"
)

// A stage has commits wait for each other in a given order.
type stage struct {
	*Store
	t    testing.TB
	goOn chan struct{}
}

// hold makes the next leader wait, with its group still open, until release.
func hold(t testing.TB, s *Store) *stage {
	st := &stage{Store: s, t: t, goOn: make(chan struct{})}
	arrived := make(chan struct{})
	var once sync.Once
	s.hooks.leading = func() {
		once.Do(func() {
			close(arrived)
			<-st.goOn
		})
	}
	// A transaction of its own, behind which others queue.
	go s.Commit(context.Background(), put(1, 1_000_000, 1_000_000))
	<-arrived
	return st
}

// queued commits b in the background, and returns when it has its place in the queue.
func (st *stage) queued(ctx context.Context, b remint.Batch) <-chan error {
	before := st.length()
	result := make(chan error, 1)
	go func() { result <- st.Commit(ctx, b) }()
	for st.length() == before {
		select {
		case err := <-result:
			st.t.Fatalf("Commit did not wait: %v", err)
		default:
		}
	}
	return result
}

func (st *stage) length() int {
	st.queue.mu.Lock()
	defer st.queue.mu.Unlock()
	return len(st.queue.waiting)
}

func (st *stage) release() { close(st.goOn) }

func TestALoneCommitIsOneTransaction(t *testing.T) {
	s := openStore(t, tempFile(t), nil)
	before := transactions(t, s)
	for n := range 5 {
		mustCommit(t, s, put(1, n, n))
		if got := transactions(t, s) - before; got != int64(n+1) {
			t.Errorf("%d commits made %d transactions", n+1, got)
		}
	}
}

func TestWhatChangesNothingMakesNoTransaction(t *testing.T) {
	s := openStore(t, tempFile(t), nil)
	mustCommit(t, s, put(1, 1, 1))
	before := transactions(t, s)
	r := testRecord(1, 1)
	mustCommit(t, s, remint.Batch{})
	mustCommit(t, s, remint.Batch{Guard: []*remint.Record{r}})
	mustCommit(t, s, remint.Batch{Touch: []*remint.Record{testRecord(2, 1), testRecord(1, 2)}})
	if err := s.Commit(t.Context(), put(1, 1, 1)); !errors.Is(err, remint.ErrConflict) {
		t.Errorf("Commit = %v", err)
	}
	if got := transactions(t, s) - before; got != 0 {
		t.Errorf("they made %d transactions", got)
	}
}

// roots returns where the buckets begin in the file: elsewhere after any change.
func roots(t *testing.T, s *Store) map[string]string {
	roots := map[string]string{}
	if err := s.db.View(func(tx *bbolt.Tx) error {
		for _, name := range [][]byte{bucketRecords, bucketOwners, bucketParents, bucketSweeps, bucketEvents, bucketMeta} {
			b, err := s.sub(tx, name)
			if err != nil {
				return err
			}
			roots[string(name)] = fmt.Sprint(b.Root())
		}
		return nil
	}); err != nil {
		t.Fatal(err)
	}
	return roots
}

func TestARotationWritesARecordAndAnEvent(t *testing.T) {
	s := openStore(t, tempFile(t), nil)
	for n := 0; n < 1000; n += 25 { // so that no bucket is small enough to be within another
		b := put(1, n, n+24)
		for i := range 25 {
			b.Put = append(b.Put, remint.Put{Record: recordtest.New(recordtest.Fields{
				ID: testID(10_000 + n + i), Revision: 1, Owner: "o", Parent: testID(n + i),
			}).(*remint.Record)})
		}
		mustCommit(t, s, b)
	}
	changed := func(before map[string]string) (names string) {
		for name, root := range roots(t, s) {
			if before[name] != root {
				names += name
			}
		}
		return names
	}
	before := roots(t, s)
	b := put(2, 5, 5)
	b.Put = append(b.Put, remint.Put{Record: recordtest.New(recordtest.Fields{
		ID: testID(10_007), Revision: 2, Owner: "o", Parent: testID(7),
	}).(*remint.Record), Replaces: 1})
	mustCommit(t, s, b)
	if got := changed(before); got != "te" && got != "et" {
		t.Errorf("it changed the buckets %q", got)
	}
	before = roots(t, s)
	mustCommit(t, s, remint.Batch{Touch: []*remint.Record{testRecord(6, 1)}})
	if got := changed(before); got != "t" {
		t.Errorf("a touch changed the buckets %q", got)
	}
}

func TestCommitsThatWaitShareATransaction(t *testing.T) {
	s := openStore(t, tempFile(t), nil)
	mustCommit(t, s, put(1, 0, 63))
	before := transactions(t, s)
	st := hold(t, s)
	var results []<-chan error
	for n := range 64 {
		b := put(2, n, n)
		if n == 20 {
			b.Guard = []*remint.Record{testRecord(5000, 1)} // which is not there
		}
		results = append(results, st.queued(t.Context(), b))
	}
	st.release()
	for n, result := range results {
		err := <-result
		if n == 20 && !errors.Is(err, remint.ErrConflict) || n != 20 && err != nil {
			t.Errorf("Commit %d: %v", n, err)
		}
	}
	if got := transactions(t, s) - before; got != 1 {
		t.Errorf("65 commits made %d transactions", got)
	}
	for n := range 64 {
		want := uint64(2)
		if n == 20 {
			want = 1
		}
		wantRevision(t, s, n, want)
	}
}

func TestACommitIsJudgedByThoseBeforeItInItsGroup(t *testing.T) {
	s := openStore(t, tempFile(t), nil)
	mustCommit(t, s, put(1, 1, 3))
	before := transactions(t, s)
	st := hold(t, s)
	r1, r2 := testRecord(1, 1), testRecord(2, 1)
	for _, c := range []struct {
		b    remint.Batch
		want error
	}{
		{put(2, 1, 1), nil},
		{put(2, 1, 1), remint.ErrConflict},
		{put(3, 1, 1), nil},
		{remint.Batch{Guard: []*remint.Record{r1}}, remint.ErrConflict},
		{remint.Batch{Guard: []*remint.Record{testRecord(1, 3)}, Delete: []*remint.Record{r2}}, nil},
		{put(2, 2, 2), remint.ErrConflict},
		{remint.Batch{Touch: []*remint.Record{r1, r2}}, nil}, // and skips both
		{put(1, 2, 2), nil},
		{remint.Batch{Put: put(4, 1, 1).Put, Guard: []*remint.Record{testRecord(9, 1)}}, remint.ErrConflict},
		{put(1, 9, 9), nil},
		{remint.Batch{Delete: []*remint.Record{testRecord(9, 1)}}, nil},
	} {
		result := st.queued(t.Context(), c.b)
		defer func() {
			if err := <-result; !errors.Is(err, c.want) {
				t.Errorf("Commit(%v) = %v, want %v", c.b, err, c.want)
			}
		}()
	}
	st.release()
	s.queue.close() // waits for all
	if got := transactions(t, s) - before; got != 1 {
		t.Errorf("they made %d transactions", got)
	}
	wantRevision(t, s, 1, 3)
	wantRevision(t, s, 2, 1)
	wantRevision(t, s, 3, 1)
	wantRevision(t, s, 9, 0)
}

func TestARecordThatIsDeletedAndPutAnewInAGroupIsIndexedAsTheNewOne(t *testing.T) {
	s := openStore(t, tempFile(t), nil)
	mustCommit(t, s, put(1, 1, 4))
	st := hold(t, s)
	for n, f := range []recordtest.Fields{
		{ID: testID(1), Revision: 1, Owner: "another"},
		{ID: testID(2), Revision: 1, Owner: "o", Parent: testID(4)},
		{ID: testID(3), Revision: 1, Owner: "o", SweepAt: noon.Add(1)},
	} {
		for _, result := range []<-chan error{
			st.queued(t.Context(), remint.Batch{Delete: []*remint.Record{testRecord(n+1, 1)}}),
			st.queued(t.Context(), remint.Batch{Put: []remint.Put{{Record: recordtest.New(f).(*remint.Record)}}}),
		} {
			defer func() {
				if err := <-result; err != nil {
					t.Error(err)
				}
			}()
		}
	}
	st.release()
	// The store is checked as it is closed.
}

func TestACommitThatIsCanceledInTheQueueIsNotDone(t *testing.T) {
	s := openStore(t, tempFile(t), nil)
	st := hold(t, s)
	ctx, cancel := context.WithCancel(t.Context())
	first := st.queued(t.Context(), put(1, 1, 1))
	canceled := st.queued(ctx, put(1, 2, 2))
	last := st.queued(t.Context(), put(1, 3, 3))
	cancel()
	if err := <-canceled; !errors.Is(err, context.Canceled) {
		t.Errorf("Commit = %v", err)
	}
	st.release()
	if err := errors.Join(<-first, <-last); err != nil {
		t.Error(err)
	}
	wantRevision(t, s, 1, 1)
	wantRevision(t, s, 2, 0)
	wantRevision(t, s, 3, 1)
}

func TestACommitThatIsCanceledLaterHasItsOutcome(t *testing.T) {
	s := openStore(t, tempFile(t), nil)
	ctx, cancel := context.WithCancel(t.Context())
	s.hooks.written = func(err error) error {
		cancel()
		return err
	}
	if err := s.Commit(ctx, put(1, 1, 1)); err != nil {
		t.Error(err)
	}
	wantRevision(t, s, 1, 1)
}

func TestAFailedTransactionFailsItsWholeGroupAndNoOther(t *testing.T) {
	s := openStore(t, tempFile(t), nil)
	mustCommit(t, s, put(1, 1, 2))
	st := hold(t, s)
	var results []<-chan error
	big := put(2, 1, 1)
	big.Put[0].Record = bigRecord(1, 2)
	for _, b := range []remint.Batch{big, put(2, 2, 2), put(7, 2, 2)} { // the last conflicts
		results = append(results, st.queued(t.Context(), b))
	}
	s.db.MaxSize = 1
	st.release()
	for n, result := range results {
		err := <-result
		if err == nil || errors.Is(err, remint.ErrConflict) || !strings.Contains(err.Error(), s.path) {
			t.Errorf("Commit %d of a transaction that failed: %v", n, err)
		}
	}
	s.db.MaxSize = 0
	wantRevision(t, s, 1, 1)
	wantRevision(t, s, 2, 1)
	mustCommit(t, s, put(2, 1, 2))
	wantRevision(t, s, 1, 2)
}

func TestAPanicFailsItsGroupAndNoOther(t *testing.T) {
	s := openStore(t, tempFile(t), nil)
	st := hold(t, s)
	first := st.queued(t.Context(), put(1, 1, 1))
	second := st.queued(t.Context(), put(1, 2, 2))
	s.hooks.judging = func() { panic("for the test") }
	st.release()
	for _, result := range []<-chan error{first, second} {
		if err := <-result; err == nil || !strings.Contains(err.Error(), "for the test") {
			t.Errorf("Commit = %v", err)
		}
	}
	s.hooks.judging = nil
	mustCommit(t, s, put(1, 1, 2))
}

func TestANilRecordPanicsAtItsCommitterAlone(t *testing.T) {
	s := openStore(t, tempFile(t), nil)
	for _, b := range []remint.Batch{
		{Guard: []*remint.Record{nil}}, {Put: []remint.Put{{}}}, {Delete: []*remint.Record{nil}}, {Touch: []*remint.Record{nil}},
	} {
		func() {
			defer func() {
				if recover() == nil {
					t.Errorf("Commit(%v) did not panic", b)
				}
			}()
			s.Commit(t.Context(), b)
		}()
	}
	mustCommit(t, s, put(1, 1, 1))
}

// What was written and perhaps not synced is neither seen nor built upon.
func TestAStoreThatDoesNotKnowItsFileIsNotUsed(t *testing.T) {
	for name, opts := range map[string]*Options{"cache": nil, "no cache": {CacheBytes: -1}} {
		t.Run(name, func(t *testing.T) {
			path := tempFile(t)
			s := openStore(t, path, opts)
			mustCommit(t, s, put(1, 1, 1))
			disk := errors.New("the disk is gone")
			reads := make(chan error, 4)
			waiting := make(chan struct{}, 4)
			s.hooks.waiting = func() { waiting <- struct{}{} }
			s.hooks.written = func(err error) error {
				for _, read := range []func() error{
					func() error { _, err := s.Load(t.Context(), testID(2)); return err },
					func() error { _, err := s.Scan(t.Context(), remint.ID{}, 9); return err },
					func() error { _, _, err := s.Events(t.Context(), "", 9); return err },
					func() error { _, err := s.Due(t.Context(), noon.Add(1), 9); return err },
				} {
					go func() { reads <- read() }()
					<-waiting // it sees the transaction, and waits to know what becomes of it
				}
				return errors.Join(err, disk)
			}
			if err := s.Commit(t.Context(), put(1, 2, 2)); !errors.Is(err, disk) {
				t.Errorf("Commit = %v", err)
			}
			s.hooks = hooks{}
			for range cap(reads) {
				if err := <-reads; !errors.Is(err, disk) {
					t.Errorf("a read of what may be lost: %v", err)
				}
			}
			_, err := s.Load(t.Context(), testID(1))
			for _, err := range []error{err, s.Commit(t.Context(), put(1, 3, 3))} {
				if !errors.Is(err, disk) || !strings.Contains(err.Error(), "open the file again") {
					t.Errorf("afterwards: %v", err)
				}
			}
			if err := s.Close(); err != nil {
				t.Error(err)
			}
			s = openStore(t, path, opts)
			mustCommit(t, s, put(2, 1, 1))
		})
	}
}

func TestReadsSeeATransactionOnlyWhenItIsDurable(t *testing.T) {
	s := openStore(t, tempFile(t), &Options{CacheBytes: -1})
	waiting, read := make(chan struct{}), make(chan error)
	var synced bool
	s.hooks.waiting = func() { close(waiting) }
	s.hooks.written = func(err error) error {
		go func() {
			_, err := s.Load(t.Context(), testID(1))
			if !synced { // a data race, if the Load did not wait
				err = errors.New("it is seen before it was durable")
			}
			read <- err
		}()
		<-waiting
		synced = true
		return err
	}
	mustCommit(t, s, put(1, 1, 1))
	if err := <-read; err != nil {
		t.Error(err)
	}
}

func TestGroupsAreBounded(t *testing.T) {
	s := openStore(t, tempFile(t), nil)
	before := transactions(t, s)
	st := hold(t, s)
	var results []<-chan error
	for n := range 2*maxGroup + 5 {
		results = append(results, st.queued(t.Context(), put(1, n, n)))
	}
	st.release()
	for _, result := range results {
		if err := <-result; err != nil {
			t.Error(err)
		}
	}
	if got := transactions(t, s) - before; got != 3 {
		t.Errorf("%d commits made %d transactions", 2*maxGroup+6, got)
	}
}

func TestCloseWaitsForCommits(t *testing.T) {
	s := openStore(t, tempFile(t), nil)
	st := hold(t, s)
	var results []<-chan error
	for n := range 10 {
		results = append(results, st.queued(t.Context(), put(1, n, n)))
	}
	closed := make(chan error)
	go func() { closed <- s.Close() }()
	for closing := false; !closing; runtime.Gosched() {
		s.queue.mu.Lock()
		closing = s.queue.closed
		s.queue.mu.Unlock()
	}
	if err := s.Commit(t.Context(), put(1, 100, 100)); !errors.Is(err, errClosed) {
		t.Errorf("a commit that came after Close: %v", err)
	}
	st.release()
	for _, result := range results {
		if err := <-result; err != nil {
			t.Errorf("a commit that was there before Close: %v", err)
		}
	}
	if err := <-closed; err != nil {
		t.Error(err)
	}
}

func TestAfterCloseEverythingFails(t *testing.T) {
	for name, open := range map[string]func(t *testing.T) *Store{
		"Open": func(t *testing.T) *Store { return openStore(t, tempFile(t), nil) },
		"New":  func(t *testing.T) *Store { return newStoreIn(t, openDB(t, tempFile(t)), nil) },
	} {
		t.Run(name, func(t *testing.T) {
			s := open(t)
			mustCommit(t, s, put(1, 1, 9))
			wantRevision(t, s, 1, 1)
			var users, started, closers sync.WaitGroup
			for n := range 8 {
				started.Add(1)
				users.Go(func() {
					for revision := uint64(2); ; revision++ {
						for _, err := range useAll(t.Context(), s, put(revision, n+1, n+1)) {
							if errors.Is(err, errClosed) {
								return
							} else if err != nil {
								t.Errorf("while closing: %v", err)
							}
						}
						if revision == 2 {
							started.Done()
						}
					}
				})
			}
			started.Wait()
			for range 3 {
				closers.Go(func() {
					if err := s.Close(); err != nil {
						t.Error(err)
					}
				})
			}
			closers.Wait()
			users.Wait()
			for _, err := range useAll(t.Context(), s, put(1, 20, 20)) {
				if !errors.Is(err, errClosed) || !strings.Contains(err.Error(), s.path) {
					t.Errorf("after Close: %v", err)
				}
			}
		})
	}
}

// useAll returns the errors of all methods, Commit's last.
func useAll(ctx context.Context, s *Store, b remint.Batch) (errs []error) {
	_, err := s.Load(ctx, testID(1))
	errs = append(errs, err)
	_, err = s.Load(ctx, testID(2))
	errs = append(errs, err)
	_, err = s.List(ctx, "o", remint.ID{}, remint.ID{}, 5)
	errs = append(errs, err)
	_, err = s.Scan(ctx, remint.ID{}, 5)
	errs = append(errs, err)
	_, err = s.Due(ctx, noon.Add(1), 5)
	errs = append(errs, err)
	_, _, err = s.Events(ctx, "", 5)
	errs = append(errs, err)
	return append(errs, s.Commit(ctx, b))
}

func TestManyWritersAndReaders(t *testing.T) {
	s := openStore(t, tempFile(t), &Options{CacheBytes: 20_000})
	const writers, commits = 64, 6
	var all sync.WaitGroup
	for w := range writers {
		all.Go(func() {
			for revision := uint64(1); revision <= commits; revision++ {
				ctx, cancel := context.WithCancel(t.Context())
				if revision%3 == 0 {
					go cancel()
				}
				err := s.Commit(ctx, put(revision, 2*w, 2*w+1))
				cancel()
				if errors.Is(err, context.Canceled) {
					revision--
				} else if err != nil {
					t.Error(err)
					return
				}
				for _, n := range []int{2 * w, 2*w + 1} {
					wantRevision(t, s, n, revision)
				}
			}
		})
	}
	all.Wait()
	if got := transactions(t, s); got > writers*commits/2 {
		t.Errorf("%d commits made %d transactions", writers*commits, got)
	}
	page, err := s.Scan(t.Context(), remint.ID{}, 1000)
	if err != nil || len(page) != 2*writers {
		t.Errorf("%d records, %v", len(page), err)
	}
	for _, r := range page {
		if r.Revision() != commits {
			t.Error(fmt.Sprint(r))
		}
	}
}
