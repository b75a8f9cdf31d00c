// Package crash keeps keys out of what a crash leaves behind, in whatever
// program imports it: no core file, and no stack traces, which print parts of
// the values on the stack. Only unix can do it: elsewhere the system makes no
// core file unasked, and a process cannot replace itself to change how it
// crashes.
//
// It works while packages are initialised, and imports next to nothing, so that
// it comes before almost all others: these are initialised once more where the
// program starts itself anew, which takes longer than all else of it.
package crash
