// Package storebolt keeps tokens in a bbolt file: durable, for one process.
//
//	import storebolt "github.com/remint-go/remint/store_bolt"
//
// [Open] opens a file of its own, and [New] uses a bbolt file that the caller has open,
// beside the caller's own buckets. Either gives a [Store] to pass to remint.New.
//
// # Commits
//
// A commit is durable when it returns: bbolt writes and syncs the file twice for each
// transaction. Commits that come while another one is under way share the next
// transaction, so that many writers together are much faster than one; a lone commit
// waits for nobody. A batch that conflicts does not affect those that it shares a
// transaction with.
//
// # Reads
//
// The file belongs to this process alone, so the Store keeps records in memory and
// knows that they are the newest. [Store.Load] of one of these takes no lock. Pages are
// copied out of the file; no transaction of bbolt is open between two calls.
//
// # Caveats
//
// One process at a time can open the file, and no other can even read it meanwhile, nor
// copy it and be sure to get a whole one. [Store.Backup] copies the file of a running service.
//
// Two Stores must not use one bucket: each would keep what the other has replaced. [Open]
// and [New] refuse it. Nor may anything else write to the bucket.
//
// A service that was killed after much had been deleted, or after a long transaction
// of the application, may have left a file without a list of its free pages. Opening it
// reads all of it once: seconds for a gigabyte on a cold disk. [Store.Close] avoids that.
//
// # Damage
//
// A commit for which there is no room on the disk changes nothing; when there is some, the
// Store goes on by itself. A file that is not whole, or not a Store's, is refused by [Open], an
// empty one as well: that had its tokens taken. A new one is at its path as a whole or not at
// all; who was killed while making it may have left a file storebolt-new-… beside it.
//
// Of a page that cannot be read, and of a file that was truncated while it was open, whoever
// meets them gets an error, and the process lives. After some of these errors the Store does nothing
// more with the file: they say so, and that it is to be restored and opened again.
//
// bbolt has no checksums of pages, only records and events have: where part of a page is
// wrong, what was in it may not be found, and no secret of it is accepted. If the newer of the first two
// pages is damaged, the file is taken to be as it was before its last transaction.
//
// # Compatibility
//
// The file says which format it has. This version reads and writes format 1; later
// ones will read it, too, and an earlier version refuses what it does not know.
package storebolt

import (
	"errors"
	"fmt"
	"os"
	"sync"
	"sync/atomic"

	"go.etcd.io/bbolt"
	berrors "go.etcd.io/bbolt/errors"

	"github.com/remint-go/remint"
	"github.com/remint-go/remint/internal/recordcache"
)

// Options configure a [Store]. The zero value and nil are ready for use.
type Options struct {
	// Bucket is the one top-level bucket that the Store uses. Empty: "remint".
	Bucket string
	// CacheBytes bounds the memory for decoded records, by an estimate of
	// what each takes. Zero: 64 MiB. Negative: none.
	CacheBytes int64
	// ReadOnly opens the file for inspection. It must be there, nothing is
	// written to it, and several processes may do so at a time. Commit fails.
	ReadOnly bool
}

const (
	defaultBucket     = "remint"
	defaultCacheBytes = 64 << 20
)

func (o *Options) withDefaults() Options {
	var opts Options
	if o != nil {
		opts = *o
	}
	if opts.Bucket == "" {
		opts.Bucket = defaultBucket
	}
	if opts.CacheBytes == 0 {
		opts.CacheBytes = defaultCacheBytes
	}
	return opts
}

// Store is a [remint.Store]. Concurrent commits share a transaction; a lone one
// waits for nobody.
type Store struct {
	db       *bbolt.DB
	path     string
	bucket   []byte
	owned    bool         // Open opened db: Close closes it, and its settings are ours
	file     *os.File     // db's, if it is owned
	size     atomic.Int64 // of file, at least
	readOnly bool
	log      logID
	cache    *recordcache.Cache // nil: none

	// state is zero while Load may answer from the cache. Every Load reads it; so what
	// every commit writes is not on the same line of a processor's cache.
	state atomic.Uint32
	_     [64]byte

	queue queue
	// settle is locked from before a transaction is written until its effects
	// are durable and in the cache, or are known not to have happened. unsettled is
	// that transaction's number, or 0.
	settle    sync.RWMutex
	unsettled atomic.Int64

	effects   effects // the leader's
	freelist  freelist
	abandoned sync.Once
	failure   error // set before stateFailed
	closeOnce sync.Once
	closeErr  error

	hooks hooks
}

// What Store.state may have set.
const (
	statePublishing = 1 << iota // the cache has some of a transaction's effects, not all
	stateClosed
	stateFailed // Store.failure happened: nothing more is done with the file
	stateStuck  // and not even closing it
)

// hooks are where tests stop a Store.
type hooks struct {
	leading    func()            // before a leader closes its group
	judging    func()            // before a group is judged
	written    func(error) error // gives the outcome of a transaction
	publishing func()            // before each record that goes into the cache
	waiting    func()            // a read waits for a transaction that is not settled
	filling    func()            // a Load has read the file, and will fill the cache
}

var _ remint.Store = (*Store)(nil)

// New uses a file that the caller has opened, beside the caller's own buckets. The
// caller closes the Store, and then db. How db was opened is respected: with NoSync, commits
// are not durable; opened read-only, the Store is as with Options.ReadOnly.
//
// The caller's transactions and the Store's wait for each other as usual in bbolt: one writes
// at a time, and as the file grows, commits wait for reads unless db was opened with
// a large InitialMmapSize. To call Commit within a transaction of one's own is to wait for
// ever.
func New(db *bbolt.DB, opts *Options) (*Store, error) {
	if db == nil {
		return nil, errors.New("storebolt: New of a nil *bbolt.DB: pass one that is open, or call Open")
	}
	s := newStore(db, opts.withDefaults())
	if err := claim(db, string(s.bucket)); err != nil {
		return nil, s.fail("use", err)
	}
	if err := s.prepare(); err != nil {
		release(db, string(s.bucket))
		return nil, s.fail("use", err)
	}
	return s, nil
}

func newStore(db *bbolt.DB, opts Options) *Store {
	s := &Store{
		db:       db,
		path:     db.Path(),
		bucket:   []byte(opts.Bucket),
		readOnly: opts.ReadOnly || db.IsReadOnly(),
		cache:    recordcache.New(opts.CacheBytes),
	}
	s.queue.idle.L = &s.queue.mu
	return s
}

// Close waits for commits under way, and closes the file if Open opened it. What is
// called after it fails.
func (s *Store) Close() error {
	s.closeOnce.Do(func() { s.closeErr = s.close() })
	return s.closeErr
}

func (s *Store) close() error {
	s.queue.close()
	s.settle.Lock()
	s.state.Or(stateClosed)
	s.settle.Unlock()
	if !s.owned {
		release(s.db, string(s.bucket))
		return nil
	}
	err := s.freelist.save(s)
	if err := errors.Join(err, s.closeFile()); err != nil {
		return s.fail("close", err)
	}
	return nil
}

// fail says of an error what was being done with which file.
func (s *Store) fail(op string, err error) error {
	if errors.Is(err, berrors.ErrDatabaseNotOpen) {
		err = errClosed
	}
	return fmt.Errorf("storebolt: %s %s: %w", op, s.path, err)
}

var (
	errClosed   = fmt.Errorf("the store is closed: %w", berrors.ErrDatabaseNotOpen)
	errReadOnly = fmt.Errorf("the store was opened read-only: %w", berrors.ErrDatabaseReadOnly)
)

// usable returns why s is not.
func (s *Store) usable() error {
	switch state := s.state.Load(); {
	case state&stateClosed != 0:
		return errClosed
	case state&stateFailed != 0:
		return s.failure
	default:
		return nil
	}
}

// claimed has the buckets that a Store of this process uses by New. Two caches over
// one bucket would each keep what the other has replaced, so that a revoked
// token went on working. (For Open, the lock on the file sees to that.)
var claimed = struct {
	sync.Mutex
	m map[claimedBucket]struct{}
}{m: map[claimedBucket]struct{}{}}

type claimedBucket struct {
	db   *bbolt.DB
	name string
}

func claim(db *bbolt.DB, bucket string) error {
	claimed.Lock()
	defer claimed.Unlock()
	key := claimedBucket{db, bucket}
	if _, ok := claimed.m[key]; ok {
		return fmt.Errorf("another Store of this process uses bucket %q: share that one, or close it first", bucket)
	}
	claimed.m[key] = struct{}{}
	return nil
}

func release(db *bbolt.DB, bucket string) {
	claimed.Lock()
	defer claimed.Unlock()
	delete(claimed.m, claimedBucket{db, bucket})
}
