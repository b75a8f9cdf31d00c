package main

import "strings"

// forbiddenHere finds what Windows does not take in a name; a colon would
// write into a hidden stream of another file.
func forbiddenHere(name string) bool { return strings.ContainsAny(name, `<>:"|?*`) }
