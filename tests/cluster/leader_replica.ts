import { leaderIdentity, runLeader } from "../../lib/controller/leader.ts";
import { leaseTimings } from "../../lib/core/lease.ts";
import { objects, PRODUCT } from "../../lib/core/names.ts";
import { KubeClient } from "../../lib/kube/client.ts";
import { loadCredentials } from "../../lib/kube/credentials.ts";
import { resources } from "../../lib/kube/resources.ts";
import { createLog } from "../../lib/ops/log.ts";

// The election alone, as a process: `leader_replica.ts KUBECONFIG NAME`. Its work is a request every 50 ms.

const [kubeconfig, name] = Deno.args;
const log = createLog({ level: "debug" });
using client = new KubeClient({
  credentials: await loadCredentials({ kubeconfig, context: undefined }),
  fieldManager: PRODUCT,
});
const stop = new AbortController();
Deno.addSignalListener("SIGTERM", () => stop.abort());

await runLeader({
  client,
  namespace: PRODUCT,
  name: objects.lease,
  identity: leaderIdentity(name!),
  timings: leaseTimings(10_000),
  log,
  onChange: (leading) => log.info(leading ? "start" : "stop"),
  lead: async (signal) => {
    while (!signal.aborted) {
      try {
        await client.get(resources.Lease, { namespace: PRODUCT, name: objects.lease, signal });
        log.info("work");
      } catch { /* the API server is down, or this is the end */ }
      await new Promise((resolve) => setTimeout(resolve, 50));
    }
  },
}, stop.signal);
