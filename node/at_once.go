package node

import "golang.org/x/sync/errgroup"

// atOnce does n things, at most limit of them at a time, and returns the first
// error. Mostly there is one to be done: it needs no goroutine of its own, whose
// stack would grow anew each time.
func atOnce(limit, n int, do func(i int) error) error {
	if n == 1 {
		return do(0)
	}
	var all errgroup.Group
	all.SetLimit(limit)
	for i := range n {
		all.Go(func() error { return do(i) })
	}
	return all.Wait()
}
