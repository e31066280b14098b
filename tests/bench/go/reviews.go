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

// reviews posts one AdmissionReview again and again over kept connections.
func reviews(args []string) error {
	flags := flag.NewFlagSet("reviews", flag.ExitOnError)
	read := endpointFlags(flags)
	pace := paceFlags(flags)
	flags.Parse(args)

	target, err := read()
	if err != nil {
		return err
	}
	return pace.run(func() (func(n int) error, error) {
		client := target.client()
		return func(n int) error {
			answer, err := target.post(client)
			if err == nil && n == 0 {
				err = expectPatch(answer)
			}
			return err
		}, nil
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
