package main

import (
	"bufio"
	"bytes"
	"flag"
	"fmt"
	"net"
	"strconv"
	"strings"
)

// Both ends of plain HTTP with as little work of their own as may be, so that what lies between them shows: a request is a few
// lines and has no body, an answer has a length.

// pages answers every request with the same page.
func pages(args []string) error {
	flags := flag.NewFlagSet("pages", flag.ExitOnError)
	listen := flags.String("listen", "", "ADDRESS:PORT")
	size := flags.Int("size", 1024, "bytes of the page")
	flags.Parse(args)

	listener, err := net.Listen("tcp", *listen)
	if err != nil {
		return err
	}
	answer := fmt.Appendf(nil, "HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nDate: Thu, 01 Jan 1970 00:00:00 GMT\r\n"+
		"Content-Length: %d\r\n\r\n%s", *size, strings.Repeat("x", *size))
	for {
		conn, err := listener.Accept()
		if err != nil {
			return err
		}
		go func() {
			defer conn.Close()
			reader := bufio.NewReader(conn)
			for {
				if _, err := readHead(reader); err != nil {
					return
				}
				if _, err := conn.Write(answer); err != nil {
					return
				}
			}
		}()
	}
}

// gets asks for one page again and again over kept connections.
func gets(args []string) error {
	flags := flag.NewFlagSet("gets", flag.ExitOnError)
	to := flags.String("to", "", "ADDRESS:PORT")
	pace := paceFlags(flags)
	flags.Parse(args)

	request := []byte("GET /page HTTP/1.1\r\nHost: bench.example\r\nUser-Agent: bench\r\nAccept: */*\r\n\r\n")
	return pace.run(func() (func(n int) error, error) {
		conn, err := net.Dial("tcp", *to)
		if err != nil {
			return nil, err
		}
		reader := bufio.NewReader(conn)
		return func(int) error {
			if _, err := conn.Write(request); err != nil {
				return err
			}
			length, err := readHead(reader)
			if err == nil {
				_, err = reader.Discard(length)
			}
			return err
		}, nil
	})
}

// readHead reads up to the blank line, and tells the length of the body. An answer other than 200 is an error.
func readHead(reader *bufio.Reader) (int, error) {
	length := 0
	for first := true; ; first = false {
		line, err := reader.ReadSlice('\n')
		if err != nil {
			return 0, err
		}
		line = bytes.TrimRight(line, "\r\n")
		if len(line) == 0 {
			return length, nil
		}
		if first && bytes.HasPrefix(line, []byte("HTTP/")) && !bytes.Contains(line, []byte(" 200 ")) {
			return 0, fmt.Errorf("cannot go on: %s", line)
		}
		if name, value, found := bytes.Cut(line, []byte(": ")); found && bytes.EqualFold(name, []byte("Content-Length")) {
			if length, err = strconv.Atoi(string(value)); err != nil {
				return 0, err
			}
		}
	}
}
