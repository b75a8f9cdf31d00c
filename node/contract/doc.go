// Package contract is what a donor asks of a node besides the disk: rates, a
// volume a month, hours of the day, absences; and what a node may do within
// that. Everything in it is a function of its arguments: the clock is passed
// in, and nothing waits, reads or writes. Package node does the rest.
//
// Months and hours are the donor's own: they are read in the location of the
// time that is passed.
package contract
