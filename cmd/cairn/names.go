package main

import (
	"fmt"
	"strings"
	"unicode"
	"unicode/utf8"
)

// maxName is the longest file name, in bytes, that every file system takes.
const maxName = 255

// deviceNames cannot be files on Windows, even with an extension.
var deviceNames = map[string]bool{"con": true, "prn": true, "aux": true, "nul": true, "conin$": true, "conout$": true}

// checkName says why a name from a link cannot become a file's name here. A name is
// data from a stranger: it must not lead out of the folder, hide what it is or reach
// a device, on this system or on one to which the file is copied later.
func checkName(name string) error {
	why := ""
	switch {
	case name == "":
		why = "it is empty"
	case !utf8.ValidString(name):
		why = "it is no UTF-8"
	case len(name) > maxName:
		why = fmt.Sprintf("it has %d bytes, and %d are the most", len(name), maxName)
	case strings.ContainsAny(name, `/\`):
		why = "it holds a path separator"
	case strings.ContainsFunc(name, unprintable):
		why = "it holds a control character"
	case name == "." || name == "..":
		why = "it names a folder"
	case strings.HasSuffix(name, ".") || strings.HasSuffix(name, " "):
		why = "it ends in a dot or a space"
	case strings.HasPrefix(name, " "):
		why = "it begins with a space"
	case isDevice(name):
		why = "Windows keeps it for a device"
	case forbiddenHere(name):
		why = "this system does not allow its characters"
	default:
		return nil
	}
	return fmt.Errorf("the name %.80q cannot be used: %s", name, why)
}

// checkGivenName is checkName for a name that comes from a link and was not typed by
// the user. If it begins with a dot, shells and other programs may read the file when
// they start, and listings do not show it.
func checkGivenName(name string) error {
	if err := checkName(name); err != nil || !strings.HasPrefix(name, ".") {
		return err
	}
	return fmt.Errorf("the name %.80q cannot be used: it begins with a dot", name)
}

func isDevice(name string) bool {
	base, _, _ := strings.Cut(strings.ToLower(name), ".")
	base = strings.TrimRight(base, " ")
	if deviceNames[base] {
		return true
	}
	rest, isCom := strings.CutPrefix(base, "com")
	if !isCom {
		var isLpt bool
		if rest, isLpt = strings.CutPrefix(base, "lpt"); !isLpt {
			return false
		}
	}
	// Windows treats the superscript digits as digits, too.
	return utf8.RuneCountInString(rest) == 1 && strings.ContainsAny(rest, "0123456789¹²³")
}

// unprintable reports characters that draw on a terminal or reverse the order of
// letters: control characters and invisible format characters.
func unprintable(r rune) bool {
	return unicode.IsControl(r) || unicode.Is(unicode.Cf, r) || r == '\u2028' || r == '\u2029' || r == utf8.RuneError
}
