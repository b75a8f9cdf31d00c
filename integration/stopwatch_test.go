package integration

import (
	"syscall"
	"time"
)

// stopwatch returns a clock of real time, which a bubble's is not.
func stopwatch() func() time.Duration {
	begun := realNow()
	return func() time.Duration { return realNow().Sub(begun) }
}

func realNow() time.Time {
	var tv syscall.Timeval
	_ = syscall.Gettimeofday(&tv)
	return time.Unix(tv.Sec, int64(tv.Usec)*1000)
}
