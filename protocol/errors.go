package protocol

import (
	"errors"
	"fmt"
	"strings"
	"unicode"
	"unicode/utf8"
)

// Code is the kind of a refusal, as it crosses the wire. Codes are only ever
// appended (SPEC.md, Errors).
type Code uint64

// The codes.
const (
	CodeUnavailable Code = 1  // cannot serve now; ask again or ask others
	CodeMalformed   Code = 2  // the request breaks the specification
	CodeNetwork     Code = 3  // of another network
	CodeVersion     Code = 4  // of an unknown version or kind
	CodeNotFound    Code = 5  // not held here
	CodeDenied      Code = 6  // proof or signature missing or wrong
	CodeFull        Code = 7  // donation or disk is full
	CodeCapped      Code = 8  // the asker, its address prefix or newcomers have used up their share
	CodeWrongSlot   Code = 9  // the table does not name this node at that slot
	CodeConflict    Code = 10 // another table for this group is held
	CodeDeleted     Code = 11 // the owner deleted it
	CodeForged      Code = 12 // bytes do not fit their hash
	CodeCorrupt     Code = 13 // the bytes on the holder's own disk do not fit their hash
	CodeSuspended   Code = 14 // the holder's disk is not mounted
	CodeVoucher     Code = 15 // a voucher is needed, or this one does not count
	CodeLimit       Code = 16 // a limit of the group is reached
	CodeDraining    Code = 17 // the node is leaving
	CodeUnknown     Code = 18 // record or table of the group is missing here: offer Facts first
	CodeDisputed    Code = 19 // this node sees members, vacancy, need or turn differently; ask again later
	CodeBudget      Code = 20 // outside the limits that the donor has set: volume, hours, a pause
)

var codeText = map[Code]string{
	CodeUnavailable: "unavailable", CodeMalformed: "malformed", CodeNetwork: "of another network",
	CodeVersion: "unknown version", CodeNotFound: "not found", CodeDenied: "denied", CodeFull: "full",
	CodeCapped: "share used up", CodeWrongSlot: "wrong slot", CodeConflict: "another table is held",
	CodeDeleted: "deleted", CodeForged: "forged", CodeCorrupt: "corrupt on disk", CodeSuspended: "disk suspended",
	CodeVoucher: "voucher needed", CodeLimit: "limit reached", CodeDraining: "draining", CodeUnknown: "group unknown",
	CodeDisputed: "disputed", CodeBudget: "not within the donor's limits",
}

// String names the code in words.
func (c Code) String() string {
	if t, ok := codeText[c]; ok {
		return t
	}
	return fmt.Sprintf("code %d", uint64(c))
}

// Error is a refusal. Two errors of one code are the same under errors.Is.
type Error struct {
	Code Code
	Text string // for people; at most MaxErrorText bytes
}

// MaxErrorText bounds the text of an Error, in bytes.
const MaxErrorText = 256

// Error returns the code in words, then the text.
func (e *Error) Error() string {
	if e.Text == "" {
		return e.Code.String()
	}
	return e.Code.String() + ": " + e.Text
}

// Is reports whether target is an Error of the same code; ErrForged stands for
// CodeForged.
func (e *Error) Is(target error) bool {
	if target == ErrForged {
		return e.Code == CodeForged
	}
	t, ok := target.(*Error)
	return ok && t.Code == e.Code
}

// Refuse returns an Error of a code with a formatted text.
func Refuse(c Code, format string, args ...any) *Error {
	return &Error{Code: c, Text: cleanText(fmt.Sprintf(format, args...))}
}

// cleanText makes a text safe to send and to show: valid UTF-8 of at most
// MaxErrorText bytes that moves no terminal's cursor.
func cleanText(t string) string {
	t = strings.Map(func(r rune) rune {
		if !unicode.IsPrint(r) {
			return '?'
		}
		return r
	}, t)
	if len(t) <= MaxErrorText {
		return t
	}
	end := MaxErrorText
	for !utf8.RuneStart(t[end]) {
		end--
	}
	return t[:end]
}

// Refusals to compare with by errors.Is.
var (
	ErrUnavailable = &Error{Code: CodeUnavailable}
	ErrMalformed   = &Error{Code: CodeMalformed}
	ErrNetwork     = &Error{Code: CodeNetwork}
	ErrVersion     = &Error{Code: CodeVersion}
	ErrNotFound    = &Error{Code: CodeNotFound}
	ErrDenied      = &Error{Code: CodeDenied}
	ErrFull        = &Error{Code: CodeFull}
	ErrCapped      = &Error{Code: CodeCapped}
	ErrWrongSlot   = &Error{Code: CodeWrongSlot}
	ErrConflict    = &Error{Code: CodeConflict}
	ErrDeleted     = &Error{Code: CodeDeleted}
	ErrCorrupt     = &Error{Code: CodeCorrupt}
	ErrSuspended   = &Error{Code: CodeSuspended}
	ErrVoucher     = &Error{Code: CodeVoucher}
	ErrLimit       = &Error{Code: CodeLimit}
	ErrDraining    = &Error{Code: CodeDraining}
	ErrUnknown     = &Error{Code: CodeUnknown}
	ErrDisputed    = &Error{Code: CodeDisputed}
	ErrBudget      = &Error{Code: CodeBudget}
)

// CodeOf returns the code of an error in err's chain, or CodeUnavailable: peers are
// not told what went wrong inside a node.
func CodeOf(err error) Code {
	var e *Error
	switch {
	case errors.As(err, &e):
		return e.Code
	case errors.Is(err, ErrForged):
		return CodeForged
	}
	return CodeUnavailable
}

func malformed(thing, format string, args ...any) error {
	return Refuse(CodeMalformed, thing+": "+format, args...)
}
