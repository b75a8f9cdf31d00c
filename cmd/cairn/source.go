package main

import (
	"context"
	"fmt"
	"path/filepath"
	"time"

	"github.com/cairnstore/cairn/client"
)

// openSource opens what is put: a file, or standard input for "-". name, if
// not empty, is what the file is called in the network.
func (a *app) openSource(ctx context.Context, arg, name string) (client.Source, error) {
	var src client.Source
	var err error
	if arg == stdio {
		src = client.Source{Reader: a.input(ctx), Name: "stdin", Size: -1}
	} else if src, err = a.openFile(ctx, arg); err != nil {
		return src, err
	}
	if name != "" {
		src.Name = name
	}
	if err := checkName(src.Name); err != nil {
		return src, misuse("\"--name NAME\" calls it otherwise", "put: %v", err)
	}
	return src, nil
}

func (a *app) openFile(ctx context.Context, path string) (client.Source, error) {
	f, err := openWaiting(ctx, path)
	if err != nil {
		return client.Source{}, withHint(fmt.Errorf("put %q: %w", path, cause(err)), "SRC is a file, or \"-\" for standard input")
	}
	a.onClose(func() { _ = f.Close() })
	info, err := f.Stat()
	if err != nil {
		return client.Source{}, fmt.Errorf("put %q: %w", path, cause(err))
	}
	if info.IsDir() {
		return client.Source{}, misuse("put its files one by one, or pack it: tar -c DIR | cairn put - --name DIR.tar",
			"put %q: it is a folder, and folders come with the drive", path)
	}
	src := client.Source{Reader: f, Name: filepath.Base(path), Size: -1, MTime: info.ModTime()}
	if mayWait(info) {
		src.Reader = &waiting{ctx: ctx, from: f}
	}
	if info.Mode().IsRegular() { // else a pipe or device, read to its end
		src.Size = info.Size()
		src.Inode = fileID(info)
		src.Stat = func() (int64, time.Time, error) {
			now, err := f.Stat()
			if err != nil {
				return 0, time.Time{}, cause(err)
			}
			return now.Size(), now.ModTime(), nil
		}
		if src.Path, err = filepath.Abs(path); err != nil {
			return src, fmt.Errorf("put %q: %w", path, err)
		}
	}
	return src, nil
}
