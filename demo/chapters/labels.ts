import { labels, WEBHOOK } from "../../lib/core/names.ts";
import { AccessLog, told } from "../access_log.ts";
import type { Cast } from "../cast.ts";
import { eventually, expect, NAMESPACES, refused } from "../cast.ts";
import type { Kubectl } from "../kubectl.ts";
import { type Answer, ask, inWords } from "../tries.ts";
import { kept, startPharma } from "./offload.ts";
import { eventOf } from "./tamper.ts";
import { addressOf, RESTRICTED } from "./work.ts";

/** Time that a NetworkPolicy engine gets to hear of a label, ms. */
const ENGINE_MS = 1_500;

/** The provider's switches, and what each does to what runs. */
export async function labelling(cast: Cast): Promise<void> {
  cast.story.chapter("Hospital's labels: who may be talked to");
  await allowing(cast);
  cast.story.chapter("Hospital's labels: opting out, and who may not");
  await optingOut(cast);
}

async function allowing({ story, kubectl, liqo }: Cast): Promise<void> {
  const label = (value: string) => labelled(kubectl, NAMESPACES.restricted, `${labels.netpolAllow}${value}`);
  const blocked = ({ status }: Answer) => status === undefined || status === 503;
  await story.step(
    `Hospital labels ${NAMESPACES.restricted} ${labels.netpolAllow}=true`,
    "pharma may read there now",
    async () => {
      await using log = new AccessLog(kubectl, "pharma-app");
      await label("=true");
      await engine();
      const answer = await ask(kubectl, `${RESTRICTED}/patients/2`);
      expect(answer.status === 200, inWords(answer));
      story.log(told(await log.find(({ host, status }) => host === new URL(RESTRICTED).host && status === 200)));
      return inWords(answer);
    },
  );
  await story.step(
    "Hospital takes the label away, and pharma reads once more: over a connection of the proxy's that stands, and over a new one",
    "what is new is blocked; what stands goes on with many engines, for they look at a connection's first packet only",
    async () => {
      await label("-");
      await engine();
      const address = await addressOf(kubectl, NAMESPACES.restricted, "app=restricted-app");
      const [standing, fresh] = await Promise.all([
        ask(kubectl, `${RESTRICTED}/patients/2`),
        ask(kubectl, `http://${address}:8080/patients/2`),
      ]);
      expect(blocked(fresh), `the new one: ${inWords(fresh)}`);
      return [
        `the one that stood ${blocked(standing) ? "has ended" : "survived the NetworkPolicy"}: ${inWords(standing)}`,
        `the new one: ${inWords(fresh)}`,
      ];
    },
  );
  await story.step("So Hospital has pharma's pod made anew", "the connection has gone with it: blocked", async () => {
    await liqo.deletePod("pharma-app");
    await startPharma(kubectl, liqo);
    const answer = await ask(kubectl, `${RESTRICTED}/patients/2`);
    expect(blocked(answer), inWords(answer));
    return inWords(answer);
  });
}

async function optingOut({ story, kubectl, liqo }: Cast): Promise<void> {
  const label = (text: string) => labelled(kubectl, NAMESPACES.pharma, text);
  await story.step(
    `Hospital opts ${NAMESPACES.pharma} out of the NetworkPolicy: ${labels.applyNetpol}=false`,
    "it goes; and comes back with the label's end",
    async () => {
      await label(`${labels.applyNetpol}=false`);
      await eventually("its end", async () => await kept(kubectl, "policy") === undefined || undefined);
      await label(`${labels.applyNetpol}-`);
      await eventually("its return", () => kept(kubectl, "policy"));
      return "it was gone, and is back";
    },
  );
  await story.step(
    `Hospital opts it out of the proxy: ${labels.applyWebhook}=false`,
    "the ConfigMap goes, and pods are not judged any more: even one on the node's network would run; until the label goes",
    async () => {
      const pod = await liqo.pod("unjudged");
      pod.spec!.hostNetwork = true;
      await label(`${labels.applyWebhook}=false`);
      await eventually("its end", async () => await kept(kubectl, "configuration") === undefined || undefined);
      await eventually("a pod that is not judged", async () => {
        return (await liqo.tryPod(pod, { dryRun: true })).refusal === undefined || undefined;
      });
      await label(`${labels.applyWebhook}-`);
      await eventually("its return", () => kept(kubectl, "configuration"));
      const refusal = await eventually(
        "a pod that is judged",
        async () => (await liqo.tryPod(pod, { dryRun: true })).refusal,
      );
      return ["without it such a pod is created", `with it: ${refused(refusal, WEBHOOK)}`];
    },
  );
  await story.step(
    "Pharma has Liqo make a namespace under the name of another consumer, bank, and Hospital opts it out",
    "recognised by the tenant namespace it comes from: the strictest policy stays, with a Warning",
    async () => {
      await liqo.offloadSpoofed(NAMESPACES.spoofed, "bank", { [labels.applyNetpol]: "false" });
      await eventually("the NetworkPolicy", () => kept(kubectl, "policy", NAMESPACES.spoofed));
      return await eventOf(kubectl, "ConsumerMismatch");
    },
  );
}

async function labelled(kubectl: Kubectl, namespace: string, text: string): Promise<void> {
  await kubectl.run(["label", "namespace", namespace, "--overwrite", text]);
}

function engine(): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, ENGINE_MS));
}
