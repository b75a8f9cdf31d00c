// Package quota decides how much of a node may be filled by whom. It knows what each
// group takes, what it has reserved, and what newcomers from one address prefix have
// taken together (SPEC.md, Admission). It counts, from what its callers tell it; the
// store measures. No I/O, and the time is handed in.
package quota
