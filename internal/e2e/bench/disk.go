package main

import (
	"fmt"
	"os"
	"path/filepath"
	"time"
)

// durable writes a file so that it is there after a power cut: what each commit on a directory costs at
// least.
func durable(root, folder, name string, data []byte) error {
	tmp := filepath.Join(root, "tmp-"+name)
	f, err := os.OpenFile(tmp, os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	if _, err = f.Write(data); err == nil {
		err = f.Sync()
	}
	if cerr := f.Close(); err == nil {
		err = cerr
	}
	if err != nil {
		return err
	}
	if err := os.Link(tmp, filepath.Join(folder, name)); err != nil {
		return err
	}
	if err := os.Remove(tmp); err != nil {
		return err
	}
	d, err := os.Open(folder)
	if err != nil {
		return err
	}
	defer d.Close()
	return d.Sync()
}

// diskRate is how many durable files a second one writer gets.
func diskRate(span time.Duration) (float64, error) {
	root, err := os.MkdirTemp("", "mess-bench-")
	if err != nil {
		return 0, fmt.Errorf("make a folder: %w", err)
	}
	defer os.RemoveAll(root)
	folder := filepath.Join(root, "files")
	if err := os.Mkdir(folder, 0o700); err != nil {
		return 0, fmt.Errorf("make a folder: %w", err)
	}
	data := make([]byte, 800)
	began, n := time.Now(), 0
	for time.Since(began) < 2*span {
		if err := durable(root, folder, fmt.Sprintf("%09d", n), data); err != nil {
			return 0, fmt.Errorf("measure the disk: %w", err)
		}
		n++
	}
	return float64(n) / time.Since(began).Seconds(), nil
}
