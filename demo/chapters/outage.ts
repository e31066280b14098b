import { policies } from "../../lib/core/names.ts";
import type { Cast } from "../cast.ts";
import { eventually, expect, NAMESPACES, refused } from "../cast.ts";
import { uninstall } from "../installation.ts";
import type { Kubectl } from "../kubectl.ts";
import { ask, inWords } from "../tries.ts";
import { leaderOf } from "./install.ts";
import { EMPTY, refusalOf } from "./tamper.ts";
import { HOSPITAL } from "./work.ts";

const IN_PRODUCT = ["--namespace", NAMESPACES.product];
const REPLICAS = "app.kubernetes.io/name=data-spacer";

/** Replicas that go: first the leader, then both. */
export async function outage({ story, kubectl, liqo }: Cast): Promise<void> {
  story.chapter("Without Data Spacer");
  await story.step("The replica that leads is killed", "the other one leads within 15 s", async () => {
    const leader = (await leaderOf(kubectl))!;
    const start = performance.now();
    await kubectl.run([...IN_PRODUCT, "delete", "pod", leader, "--grace-period=0", "--force"]);
    const next = await eventually("the next leader", async () => {
      const now = await leaderOf(kubectl);
      return now === leader ? undefined : now;
    }, 15_000);
    return `${next} leads after ${((performance.now() - start) / 1_000).toFixed(0)} s`;
  });
  await story.step(
    "Both are killed, and pharma sends a pod",
    "refused: no pod gets through unguarded",
    async () => {
      await scale(kubectl, 0);
      await kubectl.run([...IN_PRODUCT, "delete", "pods", "--selector", REPLICAS, "--grace-period=0", "--force"]);
      const pod = await liqo.pod("unguarded");
      const unreachable = "failed calling webhook";
      await eventually("their end", async () => {
        return (await liqo.tryPod(pod, { dryRun: true })).refusal?.includes(unreachable) || undefined;
      });
      return refused((await liqo.tryPod(pod)).refusal, unreachable);
    },
  );
  await story.step("Pharma tries once more to empty Envoy's configuration", "refused all the same", async () => {
    return refused(await refusalOf(kubectl, EMPTY), policies.proxyConfiguration);
  });
  await story.step("Pharma's pod, which runs, reads on", "it works: its proxy needs nobody", async () => {
    const answer = await ask(kubectl, `${HOSPITAL}/patients/3`);
    expect(answer.status === 200, inWords(answer));
    return inWords(answer);
  });
  await story.step("Both come back", "Liqo tries on, and the pod gets in, with its proxy", async () => {
    await scale(kubectl, 2);
    const start = performance.now();
    const { spec } = await liqo.createPod(await liqo.pod("unguarded"));
    const seconds = ((performance.now() - start) / 1_000).toFixed(0);
    await liqo.deletePod("unguarded");
    return `it got in after ${seconds} s, with ${spec?.initContainers?.map(({ name }) => name).join(" and ")}`;
  });
}

/** The end, unless all is kept. */
export async function uninstalling({ story, kubectl, liqo }: Cast): Promise<void> {
  story.chapter("Hospital uninstalls Data Spacer");
  await story.step(
    "kubectl delete -k deploy/base",
    "nothing is left in the way: pods are created again, without a proxy",
    async () => {
      await uninstall(kubectl);
      const { spec } = await liqo.createPod(await liqo.pod("after"));
      expect(spec?.initContainers === undefined, "it has init containers");
      const kept = await kubectl.run([
        "--namespace",
        NAMESPACES.pharma,
        "get",
        "networkpolicies,configmaps",
        "-l",
        "app.kubernetes.io/managed-by=data-spacer",
        "-o",
        "name",
      ]);
      expect(kept === "", `left: ${kept}`);
      return "the pod was created, and neither ConfigMap nor NetworkPolicy is left";
    },
  );
}

async function scale(kubectl: Kubectl, replicas: number): Promise<void> {
  await kubectl.run([...IN_PRODUCT, "scale", "deployment/data-spacer", `--replicas=${replicas}`]);
}
