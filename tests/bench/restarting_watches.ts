/**
 * Restarts watches as often as it is told, in so many parts, and prints its memory after each. An informer with a cache of 200
 * namespaces lists and watches a server that gives one event each time and then, by turns, ends the watch, cuts it in the middle of
 * a line, says 410, or answers 500. Only the waits between are shorter than in the program.
 */
import { liqo } from "../../lib/core/names.ts";
import { namespaceFacts } from "../../lib/core/namespace_policy.ts";
import { KubeClient } from "../../lib/kube/client.ts";
import { Informer } from "../../lib/kube/informer.ts";
import { resources } from "../../lib/kube/resources.ts";
import { sleep } from "../../lib/kube/time.ts";

const [count, parts] = Deno.args.map(Number) as [number, number];
let version = 1;

function namespace(index: number): Record<string, unknown> {
  const name = `load-${index}-pharma`;
  return {
    apiVersion: "v1",
    kind: "Namespace",
    metadata: {
      name,
      uid: `uid-${index}`,
      resourceVersion: `${version++}`,
      labels: { [liqo.remoteClusterId]: "pharma" },
      annotations: { "liqo.io/managed-by-namespace-map": "liqo-tenant-pharma/hospital" },
    },
  };
}

const ENDS = ["ended", "cut", "gone", "refused"] as const;
let watches = 0;

function answer(request: Request): Response {
  const { searchParams } = new URL(request.url);
  if (searchParams.get("watch") === null) {
    const items = Array.from({ length: 200 }, (_, index) => namespace(index));
    return Response.json({ kind: "NamespaceList", metadata: { resourceVersion: `${version++}` }, items });
  }
  const end = ENDS[watches++ % ENDS.length];
  if (end === "refused") return Response.json({ kind: "Status", code: 500, message: "no" }, { status: 500 });
  const event = `${JSON.stringify({ type: "MODIFIED", object: namespace(watches % 200) })}\n`;
  const status = { kind: "Status", code: 410, reason: "Expired", message: "too old" };
  if (end === "gone") return new Response(`${event}${JSON.stringify({ type: "ERROR", object: status })}\n`);
  return new Response(end === "cut" ? event + event.slice(0, 50) : event);
}

const server = Deno.serve({ hostname: "127.0.0.1", port: 0, onListen: () => {} }, answer);
const client = new KubeClient({
  credentials: { server: `http://127.0.0.1:${server.addr.port}` },
  fieldManager: "bench",
});
const stop = new AbortController();
let restarts = 0;
const silent = { debug() {}, info() {}, warn() {}, error() {} };
const informer = new Informer({
  client,
  resource: resources.Namespace,
  project: namespaceFacts,
  log: silent,
  // Long waits are those of the guard that looks for stalled watches: it waits until it is told to end.
  sleep: (ms, signal) => sleep(ms > 60_000 ? ms : 0, signal),
  onRestart: () => {
    restarts++;
    if (restarts % (count / parts) === 0) print();
    if (restarts === count) stop.abort();
  },
});

function print(): void {
  Deno.stdout.writeSync(new TextEncoder().encode(`${JSON.stringify({ rss: Deno.memoryUsage().rss })}\n`));
}

await informer.run(stop.signal);
client[Symbol.dispose]();
await server.shutdown();
