// Package fair shares out what is bounded, so that nobody takes all of it: when
// there is no room left, whoever has most gives way to whoever has less. Most of
// what a node remembers of its peers costs them nothing; were it first come,
// first served, one stranger would leave no room for anybody else.
//
// It does not know what is shared, nor who shares it.
package fair
