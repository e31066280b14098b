package main

import (
	"bytes"
	"flag"
	"fmt"
	"io"
	"net/http"
	"os"
	"strings"
	"sync"
	"time"
)

// creates makes pods through an API server at a steady rate, whatever the answers take, in several namespaces by turns, and
// prints the times of each round and namespace, sorted, ms.
func creates(args []string) error {
	flags := flag.NewFlagSet("creates", flag.ExitOnError)
	server := flags.String("server", "", "URL of the API server")
	ca := flags.String("ca", "", "its authority, PEM file")
	cert := flags.String("cert", "", "client certificate, PEM file")
	key := flags.String("key", "", "its key, PEM file")
	headers := flags.String("headers", "", "more headers, NAME=VALUE, separated by commas")
	turns := flags.String("turns", "", "namespaces in the order of their turns, separated by commas; one may come twice")
	podFile := flags.String("pod", "", "file with the pod, NAMESPACE and NAME in the place of what changes")
	rate := flags.Float64("rate", 100, "pods a second")
	rounds := flags.Int("rounds", 20, "rounds")
	perRound := flags.Int("pods", 1000, "pods in a round")
	dryRun := flags.Bool("dry-run", true, "store nothing")
	flags.Parse(args)

	template, err := os.ReadFile(*podFile)
	if err != nil {
		return err
	}
	config, err := trust(*ca, "", *cert, *key)
	if err != nil {
		return err
	}
	client := &http.Client{
		Timeout:   10 * time.Second,
		Transport: &http.Transport{TLSClientConfig: config, ForceAttemptHTTP2: true, DisableCompression: true},
	}
	namespaces := strings.Split(*turns, ",")
	query := ""
	if *dryRun {
		query = "?dryRun=All"
	}
	create := func(namespace, name string) (time.Duration, error) {
		body := bytes.ReplaceAll(template, []byte("NAMESPACE"), []byte(namespace))
		body = bytes.ReplaceAll(body, []byte("NAME"), []byte(name))
		request, err := http.NewRequest("POST", *server+"/api/v1/namespaces/"+namespace+"/pods"+query, bytes.NewReader(body))
		if err != nil {
			return 0, err
		}
		request.Header.Set("content-type", "application/json")
		for _, header := range strings.Split(*headers, ",") {
			if name, value, found := strings.Cut(header, "="); found {
				request.Header.Add(name, value)
			}
		}
		began := time.Now()
		response, err := client.Do(request)
		if err != nil {
			return 0, err
		}
		answer, err := io.ReadAll(response.Body)
		took := time.Since(began)
		response.Body.Close()
		if err == nil && response.StatusCode != http.StatusCreated {
			err = fmt.Errorf("cannot create pod in %s: status %d, %.500s", namespace, response.StatusCode, answer)
		}
		return took, err
	}

	gap := time.Duration(float64(time.Second) / *rate)
	for round := -1; round < *rounds; round++ { // the first one warms up
		var lock sync.Mutex
		var failure error
		times := map[string][]time.Duration{}
		var group sync.WaitGroup
		start := time.Now()
		for n := range *perRound {
			time.Sleep(time.Until(start.Add(gap * time.Duration(n))))
			namespace := namespaces[n%len(namespaces)]
			group.Go(func() {
				took, err := create(namespace, fmt.Sprintf("bench-%d-%d", round+1, n))
				lock.Lock()
				defer lock.Unlock()
				if err != nil {
					failure = err
					return
				}
				times[namespace] = append(times[namespace], took)
			})
		}
		group.Wait()
		if failure != nil {
			return failure
		}
		if round < 0 {
			continue
		}
		sorted := map[string][]float64{}
		for namespace, durations := range times {
			sorted[namespace] = milliseconds(durations)
		}
		if err := printJSON(sorted); err != nil {
			return err
		}
	}
	return nil
}
