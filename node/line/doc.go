// Package line counts what crosses a donor's connection and keeps it within the
// rates that the donor set, half for clients and half for repair while both want
// to cross.
package line
