package main

import "github.com/gorilla/securecookie"

func cookies(_ *run, n int) (*peer, error) {
	s := securecookie.New(random(32), nil).MaxAge(int(day.Seconds()))
	p := &peer{name: "securecookie, signed", owner: ownerOf}
	for i := range n {
		text, err := s.Encode("session", ownerOf(i))
		if err != nil {
			return nil, err
		}
		p.texts = append(p.texts, text)
	}
	p.check = func(text string) (owner string, err error) {
		err = s.Decode("session", text, &owner)
		return owner, err
	}
	return p, nil
}
