package seal

import (
	"bytes"
	cryptorand "crypto/rand"
	"crypto/sha256"
	"errors"
	"slices"
	"testing"
)

// quick stretches by one hash, so that tests of the format need no argon2.
func quick(passphrase string) stretch {
	return func(salt []byte, memory int) Key {
		return sha256.Sum256(slices.Concat([]byte{byte(memory)}, salt, []byte(passphrase)))
	}
}

func TestFile(t *testing.T) {
	for _, plain := range [][]byte{nil, []byte("x"), pattern(MaxFilePlain)} {
		a, err := sealFile(cryptorand.Reader, plain, MaxFileMemory, quick("p"))
		if err != nil {
			t.Fatal(err)
		}
		b, err := sealFile(cryptorand.Reader, plain, MaxFileMemory, quick("p"))
		if err != nil || bytes.Equal(a[fileSalt:fileHeader], b[fileSalt:fileHeader]) {
			t.Fatalf("two files share salt and nonce: %v", err)
		}
		if got, err := openFile(a, quick("p")); err != nil || !bytes.Equal(got, plain) {
			t.Errorf("%d bytes: %v", len(plain), err)
		}
		if _, err := openFile(a, quick("q")); err != ErrOpen {
			t.Errorf("%d bytes: wrong passphrase: %v", len(plain), err)
		}
	}
}

// Every single bit of a file counts.
func TestFileTampered(t *testing.T) {
	good, err := sealFile(cryptorand.Reader, []byte("plain"), 65, quick("p"))
	if err != nil {
		t.Fatal(err)
	}
	for i := range len(good) * 8 {
		bad := bytes.Clone(good)
		bad[i/8] ^= 1 << (i % 8)
		if _, err := openFile(bad, quick("p")); err != ErrOpen {
			t.Errorf("bit %d flipped: %v", i, err)
		}
	}
	for n := range good {
		if _, err := openFile(good[:n], quick("p")); err != ErrOpen {
			t.Errorf("cut to %d bytes: %v", n, err)
		}
	}
	if _, err := openFile(append(good, 0), quick("p")); err != ErrOpen {
		t.Errorf("a byte more: %v", err)
	}
}

// No key is stretched, and so no memory taken, for a file with a bad header.
func TestFileRefusedBeforeStretching(t *testing.T) {
	never := func([]byte, int) Key {
		t.Error("stretched")
		return Key{}
	}
	good, err := sealFile(cryptorand.Reader, []byte("plain"), 65, quick("p"))
	if err != nil {
		t.Fatal(err)
	}
	for _, memory := range []int{0, 1, MinFileMemory - 1, MaxFileMemory + 1, 0xffff} {
		bad := bytes.Clone(good)
		bad[len(fileMagic)], bad[len(fileMagic)+1] = byte(memory>>8), byte(memory)
		if _, err := openFile(bad, never); err != ErrOpen {
			t.Errorf("%d MiB: %v", memory, err)
		}
	}
	later := bytes.Clone(good)
	later[len(fileMagic)-1]++
	for _, bad := range [][]byte{nil, good[:minFile-1], later, append(good, make([]byte, MaxFilePlain)...)} {
		if _, err := openFile(bad, never); err != ErrOpen {
			t.Errorf("%d bytes: %v", len(bad), err)
		}
	}
}

func TestSealFileRefuses(t *testing.T) {
	for name, err := range map[string]error{
		"no passphrase":   sealError(nil, nil, MinFileMemory),
		"too little":      sealError([]byte("p"), nil, MinFileMemory-1),
		"too much memory": sealError([]byte("p"), nil, MaxFileMemory+1),
		"too long":        sealError([]byte("p"), make([]byte, MaxFilePlain+1), MinFileMemory),
	} {
		if !errors.Is(err, ErrFile) {
			t.Errorf("%s: %v", name, err)
		}
	}
	if _, err := sealFile(bytes.NewReader(nil), nil, MinFileMemory, quick("p")); err == nil {
		t.Error("a file without a salt")
	}
}

func sealError(passphrase, plain []byte, memory int) error {
	_, err := SealFile(cryptorand.Reader, passphrase, plain, memory)
	return err
}
