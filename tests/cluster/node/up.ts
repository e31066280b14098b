import { Node } from "./node.ts";

// `deno task node:up`: a cluster with one node to try things on by hand, until Ctrl-C.

const print = (line: string) => Deno.stdout.writeSync(new TextEncoder().encode(`${line}\n`));

const start = performance.now();
await using node = await Node.start();
const { name, dns, services } = node.addresses;
const took = ((performance.now() - start) / 1_000).toFixed(1);
print(`# Kubernetes ${node.binaries.release}, node ${name}, is ready after ${took} s. Ctrl-C removes it.`);
print(
  `# Pods and Services (${services.v4}) are reached by their addresses, DNS is ${dns}; webhooks under test listen on`,
);
print(`# ${node.webhookAddress}. Logs are in ${node.logs}. Images: ctr -n k8s.io images import FILE, inside:`);
print(`#   ${node.enter.join(" ")} COMMAND`);
print(`export KUBECONFIG=${await node.kubeconfig()} PATH=${node.binaries.kubectl.replace(/\/[^/]*$/, "")}:$PATH`);

await new Promise<void>((resolve) => {
  for (const signal of ["SIGINT", "SIGTERM"] as const) Deno.addSignalListener(signal, resolve);
});
