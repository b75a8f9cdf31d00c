//go:build !windows

package main

// forbiddenHere finds nothing: checkName refuses separators and zero bytes everywhere.
func forbiddenHere(string) bool { return false }
