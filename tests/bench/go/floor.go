package main

import (
	"bytes"
	"flag"
	"fmt"
	"io"
	"net/http"
	"os"
)

// floor is the least that a webhook can be: it answers every review at once with the same patch, and remembers nothing.
// Without a patch it allows all as it is, and keeps the latest review in a file.
func floor(args []string) error {
	flags := flag.NewFlagSet("floor", flag.ExitOnError)
	listen := flags.String("listen", "", "ADDRESS:PORT")
	cert := flags.String("cert", "", "certificate, PEM file")
	key := flags.String("key", "", "its key, PEM file")
	patch := flags.String("patch", "", "the patch, JSON in base64")
	record := flags.String("record", "", "file for the latest review")
	flags.Parse(args)

	rest := ""
	if *patch != "" {
		rest = fmt.Sprintf(`,"patchType":"JSONPatch","patch":"%s"`, *patch)
	}
	uidKey := []byte(`"uid":"`)
	handler := func(w http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(r.Body)
		start := bytes.Index(body, uidKey) + len(uidKey) // the first uid of a review is its own
		if err != nil || start < len(uidKey) {
			http.Error(w, "no review", http.StatusBadRequest)
			return
		}
		if *record != "" {
			os.WriteFile(*record, body, 0o600)
		}
		uid := body[start : start+bytes.IndexByte(body[start:], '"')]
		w.Header().Set("content-type", "application/json")
		fmt.Fprintf(w, `{"apiVersion":"admission.k8s.io/v1","kind":"AdmissionReview","response":{"uid":"%s","allowed":true%s}}`,
			uid, rest)
	}
	server := &http.Server{Addr: *listen, Handler: http.HandlerFunc(handler)}
	return server.ListenAndServeTLS(*cert, *key)
}
