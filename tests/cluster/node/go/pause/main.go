// pause does nothing until it is told to end. It holds the namespaces of a Pod, and is the first process of a node.
package main

import (
	"os"
	"os/signal"
	"syscall"
)

func main() {
	signal.Ignore(syscall.SIGCHLD) // so the kernel reaps what is left to us
	end := make(chan os.Signal, 1)
	signal.Notify(end, syscall.SIGINT, syscall.SIGTERM)
	<-end
}
