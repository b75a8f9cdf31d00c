// Package donors is which peers are nodes, as far as a node knows, and when to ask
// which of them again. It keeps what it is told, in bounds, and asks nobody.
package donors
