package main

import "strings"

// forbiddenHere finds characters that Windows does not allow in a name; with a colon
// the bytes would go into a hidden stream of another file.
func forbiddenHere(name string) bool { return strings.ContainsAny(name, `<>:"|?*`) }
