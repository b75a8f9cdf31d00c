// Package kv keeps ordered keys in one file, in transactions that survive a crash
// whole or not at all.
//
// It is the one importer of bbolt and adds what that lacks: a file that is
// made whole or not at all, and damage that comes out as an error instead of a
// panic. It knows nothing of what keys and values mean; storage keeps its index
// here, client its journal.
package kv
