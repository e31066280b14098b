// Load generator and floor of the benchmarks. Standard library only; built by tests/bench/tool.ts.
package main

import (
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"fmt"
	"os"
	"sort"
	"time"
)

func main() {
	commands := map[string]func(args []string) error{
		"review": review, "reviews": reviews, "creates": creates, "floor": floor, "pages": pages, "gets": gets,
	}
	if len(os.Args) < 2 || commands[os.Args[1]] == nil {
		fmt.Fprintln(os.Stderr, "Cannot run: the first argument must be review, reviews, creates, floor, pages or gets")
		os.Exit(2)
	}
	if err := commands[os.Args[1]](os.Args[2:]); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

// trust makes a client configuration that believes one authority, and shows a certificate where one is given.
func trust(caFile, serverName, certFile, keyFile string) (*tls.Config, error) {
	pem, err := os.ReadFile(caFile)
	if err != nil {
		return nil, err
	}
	config := &tls.Config{RootCAs: x509.NewCertPool(), ServerName: serverName}
	if !config.RootCAs.AppendCertsFromPEM(pem) {
		return nil, fmt.Errorf("cannot use %s: it holds no certificate", caFile)
	}
	if certFile != "" {
		pair, err := tls.LoadX509KeyPair(certFile, keyFile)
		if err != nil {
			return nil, err
		}
		config.Certificates = []tls.Certificate{pair}
	}
	return config, nil
}

// milliseconds sorts and converts; JSON keeps three decimals.
func milliseconds(durations []time.Duration) []float64 {
	sort.Slice(durations, func(i, j int) bool { return durations[i] < durations[j] })
	ms := make([]float64, len(durations))
	for i, d := range durations {
		ms[i] = float64(d.Microseconds()) / 1000
	}
	return ms
}

func quantile(sorted []float64, q float64) float64 {
	if len(sorted) == 0 {
		return 0
	}
	return sorted[min(len(sorted)-1, int(q*float64(len(sorted))))]
}

func printJSON(value any) error {
	return json.NewEncoder(os.Stdout).Encode(value)
}
