package remint

// A digest is a SHA-256, or an HMAC-SHA-256, of a secret's text.
type digest [32]byte
