// denort stands in for Deno's program of that name, which only a download brings: every program that `deno compile` makes begins
// with it. This one hands what was packed behind it, the permissions, V8's flags and the one file of a bundle, to the `deno` that
// it finds in PATH.
package main

import (
	"bytes"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"runtime"
	"sort"
	"strings"
	"syscall"
	"unsafe"
)

// Where what is packed begins: the name of its section, then its own first bytes. Repeated, so that it does not find itself.
var start = bytes.Repeat([]byte("d3n0l4nd"), 2)

// Numbers of the system call memfd_create.
var memfdCreate = map[string]uintptr{"amd64": 319, "arm64": 279}

// metadata is that part of Deno's own that decides what the program may do.
type metadata struct {
	Permissions map[string]any `json:"permissions"`
	V8Flags     []string       `json:"v8_flags"`
}

func main() {
	fmt.Fprintf(os.Stderr, "Cannot run what is packed: %v\n", run())
	os.Exit(1)
}

// run returns only if it fails.
func run() error {
	self, err := os.ReadFile("/proc/self/exe")
	if err != nil {
		return err
	}
	meta, bundle, err := unpack(self)
	if err != nil {
		return err
	}
	deno, err := exec.LookPath("deno")
	if err != nil {
		return err
	}
	file, err := inMemory(bundle)
	if err != nil {
		return err
	}
	args := append([]string{"deno", "run", "--quiet", "--no-config", "--no-lock", "--cached-only"}, meta.flags()...)
	return syscall.Exec(deno, append(append(args, file), os.Args[1:]...), os.Environ())
}

// unpack finds the metadata and the bundle in a program.
func unpack(program []byte) (meta metadata, bundle []byte, err error) {
	_, rest, found := bytes.Cut(program, start)
	if !found {
		return meta, nil, errors.New("nothing is")
	}
	text, rest := sized(rest)
	if err := json.Unmarshal(text, &meta); err != nil {
		return meta, nil, err
	}
	at := bytes.Index(rest, []byte(`[{"File":`))
	if at < 8 {
		return meta, nil, errors.New("no file is")
	}
	list, rest := sized(rest[at-8:])
	var files []any
	if err := json.Unmarshal(list, &files); err != nil || len(files) != 1 {
		return meta, nil, fmt.Errorf("must be one file, but is %s", list)
	}
	bundle, _ = sized(rest)
	return meta, bundle, nil
}

// sized reads a length and that many bytes.
func sized(data []byte) (value, rest []byte) {
	end := 8 + binary.LittleEndian.Uint64(data)
	return data[8:end], data[end:]
}

// flags for `deno run`.
func (meta metadata) flags() []string {
	flags := []string{"--v8-flags=" + strings.Join(meta.V8Flags[1:], ",")} // the first one stands for the program's name
	if meta.Permissions["prompt"] == false {
		flags = append(flags, "--no-prompt")
	}
	for name, value := range meta.Permissions {
		list, given := value.([]any)
		if !given {
			continue
		}
		words := make([]string, len(list))
		for i, word := range list {
			words[i] = fmt.Sprint(word)
		}
		flag := "--" + strings.ReplaceAll(name, "_", "-") + "=" + strings.Join(words, ",")
		flags = append(flags, strings.TrimSuffix(flag, "="))
	}
	sort.Strings(flags)
	return flags
}

// inMemory writes a file that has no name, since the image's root is read-only, and returns a path of it.
func inMemory(data []byte) (string, error) {
	name := []byte("bundle\x00")
	fd, _, code := syscall.Syscall(memfdCreate[runtime.GOARCH], uintptr(unsafe.Pointer(&name[0])), 0, 0)
	if code != 0 {
		return "", code
	}
	path := fmt.Sprintf("/proc/self/fd/%d", fd)
	return path, os.WriteFile(path, data, 0)
}
