// Package donors is which peers are nodes, as far as a node knows, when to ask which
// of them again, and whom to pick of them (crowds.go). It keeps what it is told, in
// bounds, and asks nobody.
package donors
