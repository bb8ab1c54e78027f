package main

import (
	"bufio"
	"os"
	"runtime"
	"runtime/debug"
	"strconv"
	"strings"
	"time"
)

// A machine is where the figures are from.
type machine struct {
	When       string            `json:"when"`
	System     string            `json:"system"`
	CPU        string            `json:"cpu,omitempty"`
	Cores      int               `json:"cores"`
	GOMAXPROCS int               `json:"gomaxprocs"`
	MemoryMiB  int64             `json:"memory_mib,omitempty"`
	Go         string            `json:"go"`
	Modules    map[string]string `json:"modules"`
}

func thisMachine() machine {
	m := machine{
		When: time.Now().UTC().Format("2006-01-02 15:04 MST"), System: runtime.GOOS + "/" + runtime.GOARCH,
		CPU: procField("/proc/cpuinfo", "model name"), Cores: runtime.NumCPU(), GOMAXPROCS: runtime.GOMAXPROCS(0),
		MemoryMiB: procKiB("MemTotal") >> 10, Go: runtime.Version(), Modules: map[string]string{},
	}
	info, ok := debug.ReadBuildInfo()
	if !ok {
		return m
	}
	for _, module := range info.Deps {
		m.Modules[module.Path] = module.Version
	}
	return m
}

// measured are the modules whose figures these are.
var measured = []string{
	"go.etcd.io/bbolt", "github.com/ory/fosite", "github.com/golang-jwt/jwt/v5", "github.com/alexedwards/scs/v2",
	"github.com/gorilla/securecookie", "gopkg.in/macaroon.v2", "golang.org/x/crypto", "github.com/oklog/ulid/v2",
}

func (m machine) facts() *result {
	r := &result{Name: "machine", Title: "The machine and the versions", Columns: []string{"", ""}}
	add := func(name, value string) {
		if value != "" {
			r.Facts = append(r.Facts, []string{name, value})
		}
	}
	add("when", m.When)
	add("system", m.System)
	add("CPU", m.CPU)
	add("cores, GOMAXPROCS", strconv.Itoa(m.Cores)+", "+strconv.Itoa(m.GOMAXPROCS))
	if m.MemoryMiB > 0 {
		add("memory", count(float64(m.MemoryMiB))+" MiB")
	}
	add("Go", strings.TrimPrefix(m.Go, "go"))
	for _, path := range measured {
		add(path, m.Modules[path])
	}
	return r
}

// availableMemory returns how many bytes can be had without swapping; 0 where nobody tells.
func availableMemory() int64 { return procKiB("MemAvailable") << 10 }

func procKiB(field string) int64 {
	n, _ := strconv.ParseInt(strings.TrimSuffix(procField("/proc/meminfo", field), " kB"), 10, 64)
	return n
}

// procField returns a field of one of Linux's lists, "" elsewhere.
func procField(path, name string) string {
	f, err := os.Open(path)
	if err != nil {
		return ""
	}
	defer f.Close()
	for lines := bufio.NewScanner(f); lines.Scan(); {
		if key, value, ok := strings.Cut(lines.Text(), ":"); ok && strings.TrimSpace(key) == name {
			return strings.TrimSpace(value)
		}
	}
	return ""
}
