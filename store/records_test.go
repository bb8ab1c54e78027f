package store

import (
	"encoding/binary"

	"github.com/remint-go/remint"
	"github.com/remint-go/remint/internal/recordtest"
)

func newRecord(id remint.ID, revision uint64) *remint.Record {
	return recordtest.New(recordtest.Fields{ID: id, Revision: revision, Owner: "o"}).(*remint.Record)
}

// sequential returns an ID that differs from its neighbours in few bits.
func sequential(n int) (id remint.ID) {
	id[0] = 1
	binary.BigEndian.PutUint64(id[8:], uint64(n))
	return id
}
