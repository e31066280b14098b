import { liqoPod } from "../cluster/liqo.ts";
import type { BenchContext, Figure } from "./figure.ts";
import { Floor, FLOORS } from "./floor.ts";
import { LIQO_HEADERS, NAMESPACE, ourPatch, setStage, type Stage } from "./setup.ts";
import { median, quantile, spread } from "./statistics.ts";
import { buildTool, flagsOf, runJson } from "./tool.ts";

/** Pods a second. */
const RATE = 100;

/**
 * Creation of pods through the API server, in Data Spacer's namespace and in two whose webhook is the floor: each second pod is
 * ours, those between are the floors' by turns. So both differences, ours to floor and floor to floor, come from the same moments.
 *
 * Dry run: the API server does all it does for a stored pod, the webhook included, but for the write to etcd.
 */
export async function benchCreate({ quick, log }: BenchContext): Promise<Figure[]> {
  const tool = await buildTool();
  await using stage = await setStage();
  const { cluster, folder, dataSpacer } = stage;
  const floor = await Floor.start(stage, tool);
  await floor.answer(await ourPatch(stage, await floor.recordReview(), tool));
  await Deno.writeTextFile(`${folder}/pod.json`, JSON.stringify(await liqoPod("NAMESPACE", "NAME")));
  const admin = JSON.parse(await Deno.readTextFile(await cluster.kubeconfig()));
  const { user } = admin.users[0];
  await Deno.writeTextFile(`${folder}/admin.pem`, atob(user["client-certificate-data"]), { mode: 0o600 });
  await Deno.writeTextFile(`${folder}/admin.key`, atob(user["client-key-data"]), { mode: 0o600 });
  await Deno.writeTextFile(`${folder}/ca.pem`, cluster.ca);

  const admitted = () => dataSpacer.replica.metric("data_spacer_admissions_total");
  const pods = quick ? 200 : 1_000;
  const rounds = quick ? 3 : 20;
  const load = flagsOf({
    server: cluster.server,
    ca: `${folder}/ca.pem`,
    cert: `${folder}/admin.pem`,
    key: `${folder}/admin.key`,
    headers: LIQO_HEADERS.join(","),
    pod: `${folder}/pod.json`,
    turns: [FLOORS[0], NAMESPACE, FLOORS[1], NAMESPACE].join(","),
    rate: RATE,
    rounds,
    pods,
  });
  const run = async () => {
    const before = await admitted();
    const times = await runJson<Record<string, number[]>>([tool, "creates", ...load]);
    const calls = (await admitted() - before) / (pods / 2 * (rounds + 1));
    log(`The API server called Data Spacer ${calls.toFixed(2)} times for each pod`);
    return times;
  };
  // As installed first: the policies hold in offloaded namespaces, so not in the floors', and are no part of the webhook.
  const installed = await run();
  await removePolicyBindings(stage);
  const webhookAlone = await run();

  const [a, b] = FLOORS;
  const ours = (times: Record<string, number[]>[], q: number) =>
    times.map((round) => quantile(round[NAMESPACE]!, q) - quantile([...round[a]!, ...round[b]!], q));
  const control = (q: number) => webhookAlone.map((round) => quantile(round[a]!, q) - quantile(round[b]!, q));
  const floors = (q: number) => webhookAlone.map((round) => quantile([...round[a]!, ...round[b]!], q));
  const counts = Math.abs(median(control(0.99))) < 1;
  return [
    {
      name: `Pod CREATE at ${RATE}/s: p50 over the floor`,
      target: "<= 0.5 ms",
      measured: `${spread(ours(webhookAlone, 0.5))} ms`,
      reached: median(ours(webhookAlone, 0.5)) <= 0.5,
    },
    {
      name: `Pod CREATE at ${RATE}/s: p99 over the floor`,
      target: "<= 3 ms",
      measured: `${spread(ours(webhookAlone, 0.99))} ms${
        counts ? "" : " (does not count: floor to floor is 1 ms or more)"
      }`,
      ...(counts ? { reached: median(ours(webhookAlone, 0.99)) <= 3 } : {}),
    },
    {
      name: "The same with the ValidatingAdmissionPolicies, which the floor has not: p50; p99",
      target: "",
      measured: `${spread(ours(installed, 0.5))}; ${spread(ours(installed, 0.99))} ms`,
    },
    { name: "The floor itself: p50; p99", target: "", measured: `${spread(floors(0.5))}; ${spread(floors(0.99))} ms` },
    {
      name: "Floor to floor: p50; p99",
      target: "p99 < 1 ms",
      measured: `${spread(control(0.5))}; ${spread(control(0.99))} ms`,
      reached: counts,
    },
  ];
}

/** Takes the policies out of force. */
async function removePolicyBindings({ cluster }: Stage): Promise<void> {
  const path = "/apis/admissionregistration.k8s.io/v1/validatingadmissionpolicybindings";
  const { items } = await cluster.call<{ items: { metadata: { name: string } }[] }>(path);
  for (const { metadata: { name } } of items) await cluster.call(`${path}/${name}`, { method: "DELETE" });
}
