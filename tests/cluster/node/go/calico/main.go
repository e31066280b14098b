// calico is Calico's CNI plugin, and, called by the name calico-felix, its daemon that keeps NetworkPolicies in force.
package main

import (
	"os"
	"path/filepath"

	"github.com/projectcalico/calico/cni-plugin/pkg/plugin"
	"github.com/projectcalico/calico/felix/daemon"
)

const version = "data-spacer-tests"

func main() {
	if filepath.Base(os.Args[0]) == "calico-felix" {
		daemon.Run("/nonexistent", version, version, version) // all settings come from variables FELIX_…
		return
	}
	plugin.Main(version)
}
