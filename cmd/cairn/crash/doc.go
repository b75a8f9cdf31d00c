// Package crash keeps keys out of what a crash leaves behind, in any program that
// imports it: no core file, and no stack traces, which print parts of the values on
// the stack. It does so on unix only: other systems make no core file unasked, and
// there a process cannot replace itself to change how it crashes.
//
// It works while packages are initialised. It imports next to nothing, so that it
// comes before almost all others: when the program starts itself anew, these are
// initialised once more, which takes longer than anything else about it.
package crash
