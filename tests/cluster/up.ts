import { startCluster } from "./cluster.ts";
import { chosenRelease } from "./versions.ts";

// `deno task cluster:up`: a cluster to try things on by hand, until Ctrl-C.

const print = (line: string) => Deno.stdout.writeSync(new TextEncoder().encode(`${line}\n`));

const start = performance.now();
await using cluster = await startCluster();
print(
  `# Kubernetes ${chosenRelease()} is ready after ${
    ((performance.now() - start) / 1_000).toFixed(1)
  } s. Ctrl-C removes it.`,
);
print(`# Webhooks under test listen on ${cluster.webhookAddress}; logs are in ${cluster.logs}`);
print(`export KUBECONFIG=${await cluster.kubeconfig()} PATH=${cluster.binaries.kubectl.replace(/\/[^/]*$/, "")}:$PATH`);

await new Promise<void>((resolve) => {
  for (const signal of ["SIGINT", "SIGTERM"] as const) Deno.addSignalListener(signal, resolve);
});
