package main

import (
	"flag"
	"os"
	"os/signal"
	"sync"
	"sync/atomic"
	"time"
)

// pace says how long and how fast requests are made, over how many connections.
type pace struct {
	connections int
	warm, span  time.Duration
	count       int
	rate        float64
}

// paceFlags adds the flags of a pace.
func paceFlags(flags *flag.FlagSet) *pace {
	p := &pace{}
	flags.IntVar(&p.connections, "connections", 1, "kept connections")
	flags.DurationVar(&p.warm, "warm", time.Second, "time before the measurement")
	flags.DurationVar(&p.span, "time", 5*time.Second, "time of the measurement")
	flags.IntVar(&p.count, "count", 0, "end after so many requests instead; no warm-up then")
	flags.Float64Var(&p.rate, "rate", 0, "requests a second over all connections; 0: as fast as answers come")
	return p
}

// run makes requests over kept connections, each with one request at a time, as fast as the answers come or at a rate, and
// prints what it saw. connect gives the function that makes the nth request of one connection. An interrupt ends it early.
func (p *pace) run(connect func() (func(n int) error, error)) error {
	requests := make([]func(n int) error, p.connections)
	for i := range requests {
		request, err := connect()
		if err != nil {
			return err
		}
		requests[i] = request
	}
	start := time.Now()
	measureFrom, end := start.Add(p.warm), start.Add(p.warm+p.span)
	if p.count > 0 {
		measureFrom, end = start, start.Add(time.Hour)
	}
	each := (p.count + p.connections - 1) / p.connections
	gap := time.Duration(0)
	if p.rate > 0 {
		gap = time.Duration(float64(p.connections) / p.rate * float64(time.Second))
	}
	interrupted := make(chan os.Signal, 1)
	signal.Notify(interrupted, os.Interrupt)
	var ended atomic.Bool
	go func() {
		<-interrupted
		ended.Store(true)
	}()
	results := make([][]time.Duration, p.connections)
	failures := make([]error, p.connections)
	made := make([]int, p.connections)
	var group sync.WaitGroup
	for i, request := range requests {
		group.Go(func() {
			for n := 0; (p.count == 0 || n < each) && time.Now().Before(end) && !ended.Load(); n++ {
				if gap > 0 {
					offset := gap * time.Duration(i) / time.Duration(p.connections)
					time.Sleep(time.Until(start.Add(offset + gap*time.Duration(n))))
				}
				began := time.Now()
				if failures[i] = request(n); failures[i] != nil {
					return
				}
				took := time.Since(began)
				made[i]++
				if began.After(measureFrom) && (p.count == 0 || n > 0) {
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
	total := 0
	for i, r := range results {
		all = append(all, r...)
		total += made[i]
	}
	ms := milliseconds(all)
	return printJSON(map[string]any{
		"count": len(ms), "made": total, "seconds": took, "rate": float64(len(ms)) / took,
		"p50": quantile(ms, 0.5), "p99": quantile(ms, 0.99), "max": quantile(ms, 1),
	})
}
