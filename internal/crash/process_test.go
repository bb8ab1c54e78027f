package crash

import (
	"bufio"
	"bytes"
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"time"
)

// run starts a victim and kills it at that moment. It returns all that came through the pipe.
func run(p plan, m moment) (said []byte, killed bool, err error) {
	self, err := os.Executable()
	if err != nil {
		return nil, false, err
	}
	cmd := exec.Command(self)
	cmd.Env = append(os.Environ(), victimVariable+"=1")
	cmd.Stderr = new(bytes.Buffer)
	in, err1 := cmd.StdinPipe()
	out, err2 := cmd.StdoutPipe()
	if err := errors.Join(err1, err2); err != nil {
		return nil, false, err
	}
	order, err := json.Marshal(p)
	if err != nil {
		return nil, false, err
	}
	if err := cmd.Start(); err != nil {
		return nil, false, err
	}
	defer in.Close()
	kill := func() { cmd.Process.Kill() }
	defer time.AfterFunc(cmp.Or(m.longest, 5*time.Second), kill).Stop()
	if _, err := in.Write(append(order, '\n')); err != nil {
		kill()
	}
	reader := bufio.NewReader(out)
	for struck := false; ; {
		line, err := reader.ReadBytes('\n')
		said = append(said, line...)
		if err != nil {
			break
		}
		if !struck && m.after(line) {
			struck = true
			defer time.AfterFunc(m.wait, kill).Stop()
		}
	}
	err = cmd.Wait()
	killed = err != nil && !cmd.ProcessState.Exited()
	if err != nil && !killed {
		return nil, false, fmt.Errorf("the victim: %w\n%s\n%s", err, said[max(0, len(said)-2000):], cmd.Stderr)
	}
	return said, killed, nil
}
