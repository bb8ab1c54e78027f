package httpadapter_test

import (
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"sync"
	"testing"

	"github.com/remint-go/remint/httpadapter"
)

// recordDir is where exchanges are recorded: module openapitest sets it, and holds them
// against the published descriptions. Empty: nothing is recorded.
var recordDir = os.Getenv("REMINT_RECORD")

// maxRecorded bounds a body that is recorded, in bytes: more than the adapter takes, and
// than any of its answers here.
const maxRecorded = 256 << 10

// A recorded exchange is a request to the adapter and its answer: a line of JSON.
type recorded struct {
	Test    string
	Pattern string // on the mux
	Method  string
	URL     string

	// Header and Body are the request's, where it was served: one that was refused may have
	// anything there. Whole: nothing of the body is missing.
	Header http.Header
	Body   []byte
	Whole  bool

	Status       int
	AnswerHeader http.Header
	Answer       []byte
	AnswerWhole  bool
}

// recording returns mux or, where exchanges are recorded, a Mux that puts a recorder around
// each handler on its way there.
func recording(t *testing.T, mux *http.ServeMux) httpadapter.Mux {
	if recordDir == "" {
		return mux
	}
	return recorder{t, mux}
}

type recorder struct {
	t   *testing.T
	mux *http.ServeMux
}

func (rec recorder) Handle(pattern string, h http.Handler) {
	rec.mux.Handle(pattern, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		e := recorded{Test: rec.t.Name(), Pattern: pattern, Method: r.Method, URL: r.URL.RequestURI()}
		heard := &heard{ReadCloser: r.Body, ended: r.ContentLength == 0}
		if r.Body != nil && r.Body != http.NoBody {
			r.Body = heard
		}
		said := &said{ResponseWriter: w, status: http.StatusOK}
		h.ServeHTTP(said, r) // what panics here gives no answer

		if said.header == nil {
			said.header = w.Header().Clone()
		}
		if e.Status = said.status; e.Status < http.StatusBadRequest {
			e.Header, e.Body, e.Whole = r.Header, heard.text, heard.whole(r.ContentLength)
		}
		e.AnswerHeader, e.Answer, e.AnswerWhole = said.header, said.text, len(said.text) < maxRecorded
		line, err := json.Marshal(e)
		if err != nil {
			panic(err)
		}
		record(append(line, '\n'))
	}))
}

// heard is the body of a request, as far as it was read.
type heard struct {
	io.ReadCloser
	text  []byte
	ended bool
}

func (h *heard) Read(p []byte) (int, error) {
	n, err := h.ReadCloser.Read(p)
	h.text = keep(h.text, p[:n])
	h.ended = h.ended || err == io.EOF
	return n, err
}

func (h *heard) whole(length int64) bool {
	return len(h.text) < maxRecorded && (h.ended || int64(len(h.text)) == length)
}

// said writes an answer, and keeps it.
type said struct {
	http.ResponseWriter
	status int
	header http.Header // as it was sent; nil: it was not, yet
	text   []byte
}

// Unwrap lets an [http.ResponseController] reach the server.
func (s *said) Unwrap() http.ResponseWriter { return s.ResponseWriter }

func (s *said) WriteHeader(status int) {
	if s.header == nil {
		s.status, s.header = status, s.Header().Clone()
	}
	s.ResponseWriter.WriteHeader(status)
}

func (s *said) Write(p []byte) (int, error) {
	if s.header == nil {
		s.header = s.Header().Clone()
	}
	s.text = keep(s.text, p)
	return s.ResponseWriter.Write(p)
}

func keep(text, more []byte) []byte {
	return append(text, more[:min(len(more), maxRecorded-len(text))]...)
}

var (
	recordMu   sync.Mutex
	recordFile *os.File
)

// record writes a line. Each process has a file of its own.
func record(line []byte) {
	recordMu.Lock()
	defer recordMu.Unlock()
	if recordFile == nil {
		f, err := os.CreateTemp(recordDir, "exchanges-*.jsonl")
		if err != nil {
			panic(err)
		}
		recordFile = f
	}
	if _, err := recordFile.Write(line); err != nil {
		panic(err)
	}
}

func TestWhatIsRecordedIsTheExchange(t *testing.T) {
	old := recordDir
	defer func() { recordDir, recordFile = old, nil }()
	recordDir, recordFile = t.TempDir(), nil

	mux := http.NewServeMux()
	recording(t, mux).Handle("POST /echo/{x}", http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("X-Sent", "yes")
		io.Copy(w, r.Body)
		w.Header().Set("X-Sent", "too late")
	}))
	server := httptest.NewServer(mux)
	defer server.Close()
	s := &service{t: t, url: server.URL, client: http.DefaultTransport}
	s.call("POST", "/echo/1?q=2", "secret", "hello")

	names, _ := filepath.Glob(filepath.Join(recordDir, "*.jsonl"))
	if len(names) != 1 {
		t.Fatalf("%q", names)
	}
	text, err := os.ReadFile(names[0])
	if err != nil {
		t.Fatal(err)
	}
	var e recorded
	if err := json.Unmarshal(text, &e); err != nil {
		t.Fatal(err)
	}
	if e.Test != t.Name() || e.Pattern != "POST /echo/{x}" || e.Method != "POST" || e.URL != "/echo/1?q=2" || e.Header.Get("Authorization") != "Bearer secret" ||
		string(e.Body) != "hello" || !e.Whole || e.Status != 200 || string(e.Answer) != "hello" || !e.AnswerWhole || e.AnswerHeader.Get("X-Sent") != "yes" {
		t.Errorf("%s", text)
	}
}
