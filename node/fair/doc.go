// Package fair shares out what is bounded, so that nobody takes all of it: when
// there is no room left, the most crowded gives way to whoever has less. Most of
// what a node remembers costs those it remembers nothing; were it first come,
// first served, one stranger would leave no room for anybody else.
//
// What is shared, and who shares it, it does not know.
package fair
