import type { Pod } from "kubernetes-types/core/v1.d.ts";
import { WEBHOOK } from "../../lib/core/names.ts";
import type { Cast } from "../cast.ts";
import { expect, refused } from "../cast.ts";

type Change = (spec: NonNullable<Pod["spec"]>) => void;

/** Pods that would get around the proxy, and what each does about it. */
const HOSTILE: [what: string, change: Change][] = [
  ["uses the network of the node", (spec) => spec.hostNetwork = true],
  ["wants NET_ADMIN, to take the redirect rules away", (spec) => {
    spec.containers[0]!.securityContext = { capabilities: { add: ["NET_ADMIN"] } };
  }],
  ["runs as root", (spec) => spec.containers[0]!.securityContext = { runAsUser: 0 }],
  [
    "brings a proxy of its own, under our name",
    (spec) => spec.initContainers = [{ name: "data-space-proxy", image: "evil:1" }],
  ],
  ["mounts the volume with the proxy's admin socket", (spec) => {
    spec.containers[0]!.volumeMounts = [{ name: "data-space-run", mountPath: "/x" }];
  }],
];

/** What is not even created. */
export async function evading({ story, liqo }: Cast): Promise<void> {
  story.chapter("Pharma tries to go around the proxy");
  for (const [what, change] of HOSTILE) {
    await story.step(
      `Pharma's pod ${what}`,
      "refused; the message says which field, and what would be right",
      async () => {
        const pod = await liqo.pod("hostile");
        change(pod.spec!);
        const { refusal } = await liqo.tryPod(pod);
        return refused(refusal, WEBHOOK);
      },
    );
  }
  await story.step("Pharma's pod guesses the proxy's user, and runs as it", "the proxy gets another", async () => {
    const pod = await liqo.pod("guess");
    pod.spec!.securityContext = { runAsUser: 21_337 };
    const { created, refusal } = await liqo.tryPod(pod, { dryRun: true }) as { created?: Pod; refusal?: string };
    expect(created !== undefined, refusal ?? "");
    const proxy = created.spec?.initContainers?.[1]?.securityContext?.runAsUser;
    expect(proxy !== undefined && proxy !== 21_337, `the proxy runs as ${proxy}`);
    return `pharma runs as 21337, the proxy as ${proxy}`;
  });
}
