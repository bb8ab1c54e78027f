package main

import (
	"encoding/base64"
	"fmt"
	"strings"
	"time"

	"gopkg.in/macaroon.v2"
)

func macaroons(_ *run, n int) (*peer, error) {
	p := &peer{name: "macaroon.v2, two caveats", owner: ownerOf}
	key := random(32)
	for i := range n {
		m, err := macaroon.New(key, fmt.Append(nil, "token-", i), "", macaroon.V2)
		if err != nil {
			return nil, err
		}
		for _, caveat := range []string{"owner " + ownerOf(i), "before " + time.Now().Add(day).UTC().Format(time.RFC3339)} {
			if err := m.AddFirstPartyCaveat([]byte(caveat)); err != nil {
				return nil, err
			}
		}
		binary, err := m.MarshalBinary()
		if err != nil {
			return nil, err
		}
		p.texts = append(p.texts, base64.RawURLEncoding.EncodeToString(binary))
	}
	p.check = func(text string) (owner string, err error) {
		binary, err := base64.RawURLEncoding.DecodeString(text)
		if err != nil {
			return "", err
		}
		var m macaroon.Macaroon
		if err := m.UnmarshalBinary(binary); err != nil {
			return "", err
		}
		now := time.Now()
		err = m.Verify(key, func(caveat string) error {
			switch kind, value, _ := strings.Cut(caveat, " "); kind {
			case "owner":
				owner = value
				return nil
			case "before":
				if end, err := time.Parse(time.RFC3339, value); err != nil || !now.Before(end) {
					return errRefused
				}
				return nil
			}
			return errRefused
		}, nil)
		return owner, err
	}
	return p, nil
}
