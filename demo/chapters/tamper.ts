import type { ConfigMap, Event } from "kubernetes-types/core/v1.d.ts";
import type { NetworkPolicy } from "kubernetes-types/networking/v1.d.ts";
import { policies } from "../../lib/core/names.ts";
import type { Cast } from "../cast.ts";
import { eventually, NAMESPACES, PHARMA, refused } from "../cast.ts";
import { type Kubectl, said } from "../kubectl.ts";
import { KEPT, kept } from "./offload.ts";

const IN_SPACE = ["--namespace", NAMESPACES.pharma];
/** Empties Envoy's configuration. */
export const EMPTY = [
  ...IN_SPACE,
  "patch",
  KEPT.configuration,
  "--type=merge",
  "--patch",
  '{"data":{"envoy.yaml":"{}","more":"x"}}',
];

const OPEN = {
  apiVersion: "v1",
  kind: "Service",
  metadata: { name: "open", namespace: NAMESPACES.pharma },
  spec: { type: "NodePort", selector: { app: "pharma-app" }, ports: [{ port: 8080 }] },
};

/** What Liqo gives pharma the right to, and is refused all the same; and what is repaired where an administrator does it. */
export async function tampering({ story, kubectl }: Cast): Promise<void> {
  story.chapter("Pharma tampers");
  await story.step(
    "Pharma, which may write ConfigMaps there, empties Envoy's configuration",
    "refused by the API server itself, whether or not a replica runs",
    async () => refused(await refusalOf(kubectl, EMPTY), policies.proxyConfiguration),
  );
  await story.step(
    "An administrator does so, who may",
    "repaired at once, and an Event in namespace default, where pharma cannot delete it",
    async () => {
      const before = JSON.stringify((await kept<ConfigMap>(kubectl, "configuration"))?.data);
      await kubectl.run(EMPTY);
      const start = performance.now();
      await eventually("the repair", async () => {
        return JSON.stringify((await kept<ConfigMap>(kubectl, "configuration"))?.data) === before || undefined;
      });
      const seconds = ((performance.now() - start) / 1_000).toFixed(1);
      return [`repaired within ${seconds} s`, await eventOf(kubectl, "ObjectDrift")];
    },
  );
  const doors: [what: string, args: string[], by: string][] = [
    [
      "opens a shell in the proxy",
      ["exec", "pharma-app", "--container", "data-space-proxy", "--", "sh"],
      policies.exec,
    ],
    ["forwards a port into its pod, past the proxy", ["port-forward", "pod/pharma-app", ":8080"], policies.portForward],
  ];
  for (const [what, args, by] of doors) {
    await story.step(`Pharma ${what}`, "refused: Liqo gives it the right, the policies do not", async () => {
      return refused(await refusalOf(kubectl, [...IN_SPACE, ...args]), by);
    });
  }
  await story.step(
    "Pharma publishes its pod on every node, by a Service of type NodePort",
    "refused alike",
    async () => {
      return refused((await kubectl.create(OPEN, { who: PHARMA })).refusal, policies.services);
    },
  );
  await story.step("Pharma deletes the NetworkPolicy", "forbidden: Liqo gives it no right to", async () => {
    return refused(await refusalOf(kubectl, [...IN_SPACE, "delete", KEPT.policy]), "is forbidden");
  });
  await story.step("An administrator deletes it", "back at once", async () => {
    const uid = async () => (await kept<NetworkPolicy>(kubectl, "policy"))?.metadata?.uid;
    const before = await uid();
    await kubectl.run([...IN_SPACE, "delete", KEPT.policy]);
    await eventually("a new one", async () => ![undefined, before].includes(await uid()) || undefined);
    return "a new one is there";
  });
}

/** What pharma is told; undefined if it may. */
export async function refusalOf(kubectl: Kubectl, args: string[]): Promise<string | undefined> {
  const { code, stderr } = await kubectl.output(args, { who: PHARMA });
  return code === 0 ? undefined : said(stderr);
}

/** Waits for an Event of ours, and gives it in a line. */
export async function eventOf(kubectl: Kubectl, reason: string): Promise<string> {
  return await eventually(`an Event ${reason}`, async () => {
    const args = ["--namespace=default", "events", `--field-selector=source=data-spacer,reason=${reason}`];
    const event = (await kubectl.get<{ items: Event[] }>(...args))?.items[0];
    return event && `Event ${event.reason}: ${event.message}`;
  });
}
