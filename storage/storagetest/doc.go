// Package storagetest is what every store must do, as a test: [Test] runs on
// each implementation of storage.Store. A new one is tested by
//
//	storagetest.Test(t, func(t testing.TB, quota int64) storage.Store { … })
//
// It also has [FS], a file system in memory that forgets what was not synced
// and fails where it is told to, for the tests of stores on a disk.
package storagetest
