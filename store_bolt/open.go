package storebolt

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"runtime/debug"
	"strconv"
	"strings"
	"syscall"
	"time"

	"go.etcd.io/bbolt"
	berrors "go.etcd.io/bbolt/errors"
)

// Open opens the file at path, with mode 0600 if it is new; the mode of one that is there is
// left as it is. If another process has it open, or another Store of this one, Open fails at
// once. It refuses a file with buckets among which Options.Bucket is not: [New] shares one.
func Open(path string, opts *Options) (*Store, error) {
	s, err := open(path, opts.withDefaults())
	if err != nil {
		return nil, fmt.Errorf("storebolt: open %s: %w", path, explain(err))
	}
	return s, nil
}

func open(path string, opts Options) (*Store, error) {
	isNew, err := look(path, opts.ReadOnly)
	if err == nil && isNew {
		if err = create(path, opts); err == nil {
			isNew, err = look(path, opts.ReadOnly)
		}
	}
	if err != nil {
		return nil, err
	}
	// What bbolt would do to a file that is not ours, or not whole, is to write a
	// list of free pages to it, or to crash on reading behind its end. So it is looked
	// at first.
	if !isNew {
		if s, err := openReadOnly(path, opts); err != nil || opts.ReadOnly {
			return s, err
		} else if err := s.closeFile(); err != nil {
			return nil, err
		}
	}
	s, err := own(path, opts, &bbolt.Options{Timeout: atOnce, FreelistType: bbolt.FreelistMapType})
	if err != nil {
		return nil, err
	}
	s.db.AllocSize = growth(0)
	if isNew {
		err = syncDir(filepath.Dir(path))
	}
	if err == nil {
		err = s.prepare()
	}
	if err != nil {
		return nil, errors.Join(err, s.closeFile())
	}
	return s, nil
}

// own opens a file for a Store that will close it.
func own(path string, opts Options, how *bbolt.Options) (s *Store, err error) {
	defer debug.SetPanicOnFault(debug.SetPanicOnFault(true))
	defer func() {
		if p := recover(); p != nil { // and what bbolt has opened stays open
			err = new(Store).damaged(p)
		}
	}()
	var file *os.File
	how.OpenFile = func(name string, flag int, perm os.FileMode) (_ *os.File, err error) {
		file, err = os.OpenFile(name, flag, perm)
		return file, err
	}
	db, err := openMapped(path, how)
	if err != nil {
		return nil, err
	}
	s = newStore(db, opts)
	s.owned, s.file = true, file
	if err := s.truncated(); err != nil { // it takes note of the size
		return nil, errors.Join(err, db.Close())
	}
	return s, nil
}

// atOnce makes bbolt try once for the lock on the file: zero would wait for ever.
const atOnce = time.Nanosecond

// look returns what is wrong with path before any of it is read, or that it is new.
func look(path string, readOnly bool) (isNew bool, err error) {
	info, err := os.Stat(path)
	switch {
	case errors.Is(err, fs.ErrNotExist) && !readOnly:
		return true, nil
	case err != nil:
		return false, err
	case info.IsDir():
		return false, errors.New("it is a directory; give the path of a file in it")
	case !info.Mode().IsRegular():
		return false, fmt.Errorf("it is not a regular file (%v)", info.Mode())
	case info.Size() == 0:
		return false, errors.New("the file is empty, which one with tokens never is: restore it, or remove it to begin with none")
	}
	return false, nil
}

// openReadOnly opens a file for inspection. It changes nothing.
func openReadOnly(path string, opts Options) (*Store, error) {
	s, err := own(path, opts, &bbolt.Options{Timeout: atOnce, ReadOnly: true})
	if err != nil {
		return nil, err
	}
	if err = s.checkSize(); err == nil {
		if opts.ReadOnly {
			err = s.prepare()
		} else {
			err = s.checkForWriting()
		}
	}
	if err != nil {
		return nil, errors.Join(err, s.closeFile())
	}
	return s, nil
}

// checkSize makes sure that all pages of the file are there: bbolt reads them from
// memory, where one that is missing is a crash.
func (s *Store) checkSize() error {
	return s.peek(func(tx *bbolt.Tx) error {
		if want := tx.Size(); s.size.Load() < want {
			return fmt.Errorf("the file is truncated: %d of %d bytes are there; restore it", s.size.Load(), want)
		}
		return nil
	})
}

// checkForWriting makes sure that the file is ours to write, and that bbolt can.
func (s *Store) checkForWriting() error {
	return s.peek(func(tx *bbolt.Tx) error {
		if found, err := s.inspect(tx); err != nil {
			return err
		} else if name, _ := tx.Cursor().First(); !found && name != nil && tx.Bucket(s.bucket) == nil {
			return fmt.Errorf("it is a file of something else: it has a bucket %q, and none %q; look at the path and Options.Bucket, or share the file by New", name, s.bucket)
		}
		return s.checkFree(tx)
	})
}

// openMapped opens the file for writing with room in the address space for it to grow: as
// soon as it does not fit what is mapped, bbolt maps it anew, and waits for all readers.
func openMapped(path string, opts *bbolt.Options) (*bbolt.DB, error) {
	gib := 64
	if strconv.IntSize == 32 || runtime.GOOS == "windows" { // where it would be the file's size
		gib = 0
	}
	if opts.ReadOnly { // it does not grow
		return bbolt.Open(path, 0, opts)
	}
	for {
		opts.InitialMmapSize = gib << 30
		db, err := bbolt.Open(path, 0o600, opts)
		if gib == 0 || !errors.Is(err, syscall.ENOMEM) { // as by ulimit -v
			return db, err
		}
		gib /= 4
	}
}

// growth returns by how much a file of that size grows at a time. Each time costs a sync of its
// own; but bbolt's default, 16 MiB, is much for a file with ten tokens.
func growth(size int64) int { return int(min(max(size/4, 64<<10), 16<<20)) }

// syncDir makes it durable that there is a new file in dir.
func syncDir(dir string) error {
	if runtime.GOOS == "windows" { // which has no such thing
		return nil
	}
	d, err := os.Open(dir)
	if err != nil {
		return err
	}
	defer d.Close()
	if err := d.Sync(); !errors.Is(err, syscall.EINVAL) { // from file systems that cannot
		return err
	}
	return nil
}

// explain says what an error of bbolt.Open means.
func explain(err error) error {
	var pathErr *fs.PathError
	switch {
	case errors.Is(err, berrors.ErrTimeout):
		return fmt.Errorf("another process has it open, or another Store of this one; one at a time can: %w", err)
	case errors.Is(err, berrors.ErrInvalid):
		return fmt.Errorf("it is not a bbolt file; look at the path, or restore it: %w", err)
	case errors.Is(err, berrors.ErrVersionMismatch):
		return fmt.Errorf("it is of another version of bbolt: %w", err)
	case errors.Is(err, berrors.ErrChecksum):
		return fmt.Errorf("it is damaged; restore it: %w", err)
	case strings.HasPrefix(err.Error(), "file size too small"): // has no name
		return fmt.Errorf("the file is truncated; restore it: %w", err)
	case errors.Is(err, fs.ErrPermission) && errors.As(err, &pathErr):
		return fmt.Errorf("%w; this process must be able to read and write the file and, if there is none, to make one in its directory", pathErr.Err)
	case errors.Is(err, syscall.EROFS) && errors.As(err, &pathErr):
		return fmt.Errorf("%w; Options.ReadOnly is to look at a file there", pathErr.Err)
	case errors.As(err, &pathErr): // names the path once more
		return pathErr.Err
	}
	return err
}
