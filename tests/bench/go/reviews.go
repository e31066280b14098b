package main

import (
	"bytes"
	"crypto/tls"
	"encoding/json"
	"flag"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/signal"
	"sync"
	"sync/atomic"
	"time"
)

// endpoint is a webhook and what it is asked.
type endpoint struct {
	url    string
	body   []byte
	config *tls.Config
}

// endpointFlags adds the flags of an endpoint; what they mean can be asked for when they have been parsed.
func endpointFlags(flags *flag.FlagSet) func() (endpoint, error) {
	url := flags.String("url", "", "endpoint")
	ca := flags.String("ca", "", "authority of the endpoint, PEM file")
	serverName := flags.String("server-name", "", "name that its certificate is for")
	bodyFile := flags.String("body", "", "file with the review")
	return func() (endpoint, error) {
		body, err := os.ReadFile(*bodyFile)
		if err != nil {
			return endpoint{}, err
		}
		config, err := trust(*ca, *serverName, "", "")
		if err != nil {
			return endpoint{}, err
		}
		config.NextProtos = []string{"http/1.1"} // as kube-apiserver does with webhooks
		return endpoint{*url, body, config}, nil
	}
}

// review posts one AdmissionReview and prints the answer.
func review(args []string) error {
	flags := flag.NewFlagSet("review", flag.ExitOnError)
	read := endpointFlags(flags)
	flags.Parse(args)
	target, err := read()
	if err != nil {
		return err
	}
	answer, err := target.post(target.client())
	if err == nil {
		err = expectPatch(answer)
	}
	if err != nil {
		return err
	}
	_, err = os.Stdout.Write(append(answer, '\n'))
	return err
}

// reviews posts one AdmissionReview again and again over kept connections, each with one request at a time, as fast as the
// answers come or at a rate, and prints what it saw. An interrupt ends it early.
func reviews(args []string) error {
	flags := flag.NewFlagSet("reviews", flag.ExitOnError)
	read := endpointFlags(flags)
	connections := flags.Int("connections", 1, "kept connections")
	warm := flags.Duration("warm", time.Second, "time before the measurement")
	span := flags.Duration("time", 5*time.Second, "time of the measurement")
	count := flags.Int("count", 0, "end after so many requests instead; no warm-up then")
	rate := flags.Float64("rate", 0, "requests a second over all connections; 0: as fast as answers come")
	flags.Parse(args)

	target, err := read()
	if err != nil {
		return err
	}
	start := time.Now()
	measureFrom, end := start.Add(*warm), start.Add(*warm+*span)
	if *count > 0 {
		measureFrom, end = start, start.Add(time.Hour)
	}
	each := (*count + *connections - 1) / *connections
	gap := time.Duration(0)
	if *rate > 0 {
		gap = time.Duration(float64(*connections) / *rate * float64(time.Second))
	}
	interrupted := make(chan os.Signal, 1)
	signal.Notify(interrupted, os.Interrupt)
	var ended atomic.Bool
	go func() {
		<-interrupted
		ended.Store(true)
	}()
	results := make([][]time.Duration, *connections)
	failures := make([]error, *connections)
	var group sync.WaitGroup
	for i := range *connections {
		group.Go(func() {
			client := target.client()
			for n := 0; (*count == 0 || n < each) && time.Now().Before(end) && !ended.Load(); n++ {
				if gap > 0 {
					offset := gap * time.Duration(i) / time.Duration(*connections)
					time.Sleep(time.Until(start.Add(offset + gap*time.Duration(n))))
				}
				began := time.Now()
				answer, err := target.post(client)
				took := time.Since(began)
				if err == nil && n == 0 {
					err = expectPatch(answer)
				}
				if err != nil {
					failures[i] = err
					return
				}
				if began.After(measureFrom) && (*count == 0 || n > 0) {
					results[i] = append(results[i], took)
				}
			}
		})
	}
	group.Wait()
	took := time.Since(measureFrom).Seconds()
	for _, err := range failures {
		if err != nil {
			return err
		}
	}
	var all []time.Duration
	for _, r := range results {
		all = append(all, r...)
	}
	ms := milliseconds(all)
	return printJSON(map[string]any{
		"count": len(ms), "seconds": took, "rate": float64(len(ms)) / took,
		"p50": quantile(ms, 0.5), "p99": quantile(ms, 0.99), "max": quantile(ms, 1),
	})
}

// client makes a client with one connection.
func (e endpoint) client() *http.Client {
	return &http.Client{
		Timeout: 10 * time.Second,
		Transport: &http.Transport{
			TLSClientConfig: e.config.Clone(), MaxConnsPerHost: 1, MaxIdleConnsPerHost: 1, DisableCompression: true,
		},
	}
}

func (e endpoint) post(client *http.Client) ([]byte, error) {
	response, err := client.Post(e.url, "application/json", bytes.NewReader(e.body))
	if err != nil {
		return nil, err
	}
	defer response.Body.Close()
	answer, err := io.ReadAll(response.Body)
	if err == nil && response.StatusCode != http.StatusOK {
		err = fmt.Errorf("cannot go on: status %d, %s", response.StatusCode, answer)
	}
	return answer, err
}

func expectPatch(answer []byte) error {
	var review struct {
		Response struct {
			Allowed bool
			Patch   []byte
		}
	}
	if err := json.Unmarshal(answer, &review); err != nil {
		return err
	}
	if !review.Response.Allowed || len(review.Response.Patch) == 0 {
		return fmt.Errorf("cannot go on: the answer holds no patch: %s", answer)
	}
	return nil
}
