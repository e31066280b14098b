/**
 * The floor of convergence: the writes that Data Spacer makes in new namespaces, and nothing else. No list, no watch, no queue; a
 * number of loops take the next namespace each, and write its two objects. Prints the ms from the first write to the last answer.
 */
import { parseArgs } from "node:util";
import { objectTemplates } from "../../lib/core/desired_state.ts";
import { PRODUCT } from "../../lib/core/names.ts";
import { testSettings } from "../support/settings.ts";
import { offloadedName } from "./setup.ts";

const { values } = parseArgs({
  options: {
    server: { type: "string", default: "" },
    ca: { type: "string", default: "" },
    token: { type: "string", default: "" },
    first: { type: "string", default: "0" },
    count: { type: "string", default: "0" },
    writers: { type: "string", default: "16" },
  },
});
const [first, count, writers] = [Number(values.first), Number(values.count), Number(values.writers)];
const client = Deno.createHttpClient({ caCerts: [await Deno.readTextFile(values.ca)], http2: false });
const headers = {
  accept: "application/json;as=PartialObjectMetadata;g=meta.k8s.io;v=v1",
  authorization: `Bearer ${await Deno.readTextFile(values.token)}`,
  "content-type": "application/apply-patch+yaml",
};
const { ConfigMap, NetworkPolicy } = objectTemplates(testSettings());
const kinds = [
  { ...ConfigMap, root: "/api/v1", path: "configmaps/data-space-envoy-config" },
  { ...NetworkPolicy, root: "/apis/networking.k8s.io/v1", path: "networkpolicies/data-space-network-policy" },
];

async function write(namespace: string): Promise<void> {
  for (const { root, path, applied } of kinds) {
    const url = `${values.server}${root}/namespaces/${namespace}/${path}?force=true&fieldManager=${PRODUCT}`;
    const response = await fetch(url, { method: "PATCH", headers, body: applied, client });
    const text = await response.text();
    if (response.status !== 201) throw new Error(`Cannot apply ${path} in ${namespace}: ${response.status} ${text}`);
  }
}

const start = performance.now();
let next = first;
await Promise.all(Array.from({ length: writers }, async () => {
  while (next < first + count) await write(offloadedName(next++));
}));
Deno.stdout.writeSync(new TextEncoder().encode(`${JSON.stringify({ ms: performance.now() - start })}\n`));
client.close();
