//go:build nonceaudit

package seal

import (
	"crypto/sha256"
	"errors"
	"fmt"
	"os"
)

// auditEnv names the file to which every sealing appends a line, so that a
// campaign across killed processes can prove that no key and counter ever seal
// two texts. For test builds only: the file reveals hashes of plain bytes.
const auditEnv = "CAIRN_NONCE_AUDIT"

// observe appends "SHA-256 of the key, counter, SHA-256 of the plain bytes" in
// one write, before the bytes are sealed: a kill may leave a line without
// sealed bytes, never sealed bytes without a line.
func observe(key *Key, counter int64, plain []byte) error {
	name := os.Getenv(auditEnv)
	if name == "" {
		return nil
	}
	line := fmt.Sprintf("%x %d %x\n", sha256.Sum256(key[:]), counter, sha256.Sum256(plain))
	f, err := os.OpenFile(name, os.O_APPEND|os.O_CREATE|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	_, err = f.WriteString(line)
	return errors.Join(err, f.Close())
}
