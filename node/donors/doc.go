// Package donors remembers which peers are nodes, as far as a node knows, and decides
// when to ask each of them again and which of them to pick (crowds.go). It keeps what
// it is told, within bounds, and asks nobody itself.
package donors
