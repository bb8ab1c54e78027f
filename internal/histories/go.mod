module github.com/remint-go/remint/internal/histories

go 1.26.0

replace github.com/remint-go/remint => ../../

require (
	github.com/anishathalye/porcupine v1.3.1
	github.com/remint-go/remint v0.0.0-00010101000000-000000000000
	go.etcd.io/bbolt v1.5.0
)

require (
	github.com/oklog/ulid/v2 v2.1.2 // indirect
	golang.org/x/crypto v0.58.0 // indirect
	golang.org/x/sys v0.49.0 // indirect
)
