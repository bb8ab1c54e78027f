package chaos

import (
	"bufio"
	"bytes"
	"io"
	"net"
	"net/http"
)

// A link is a connection to the service, which stays.
type link struct {
	*net.TCPConn
	answer bytes.Buffer
	reader *bufio.Reader
}

func newLink(conn *net.TCPConn) *link {
	conn.SetLinger(0)
	l := &link{TCPConn: conn}
	l.reader = bufio.NewReader(io.TeeReader(conn, &l.answer))
	return l
}

// exchange returns the answer to the byte, but for what it says of the connection.
func (l *link) exchange(request []byte) ([]byte, error) {
	l.answer.Reset()
	stay := bytes.Replace(request, []byte("\r\nConnection: close\r\n"), []byte("\r\n"), 1)
	if _, err := l.Write(stay); err != nil {
		return nil, err
	}
	resp, err := http.ReadResponse(l.reader, nil)
	if err != nil {
		return nil, err
	}
	if _, err := io.Copy(io.Discard, resp.Body); err != nil {
		return nil, err
	}
	return bytes.Clone(l.answer.Bytes()), nil
}
