module github.com/remint-go/remint/captoken

go 1.26.0

require (
	github.com/go-jose/go-jose/v4 v4.1.8
	github.com/remint-go/remint v0.0.0
	pgregory.net/rapid v1.3.0
)

require (
	github.com/oklog/ulid/v2 v2.1.2 // indirect
	golang.org/x/crypto v0.58.0 // indirect
	golang.org/x/sys v0.49.0 // indirect
)

replace github.com/remint-go/remint => ../
