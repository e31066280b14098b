import { patients } from "../hospital-app/main.ts";
import type { AccessRecord } from "../../tests/support/access_record.ts";
import { AccessLog, told } from "../access_log.ts";
import type { Cast } from "../cast.ts";
import { expect, NAMESPACES } from "../cast.ts";
import type { Kubectl } from "../kubectl.ts";
import { ask, askFromHospital, inWords, resolve } from "../tries.ts";

/** Where hospital-app is, by the name of its Service. */
export const HOSPITAL = `http://hospital-app.${NAMESPACES.hospital}:8080`;
/** Where restricted-app is. */
export const RESTRICTED = `http://restricted-app.${NAMESPACES.restricted}:8080`;

/** What pharma is there for. */
export async function working({ story, kubectl }: Cast): Promise<void> {
  story.chapter("Pharma works: allowed, and recorded");
  await using log = new AccessLog(kubectl, "pharma-app");
  const shown = async (matches: (record: AccessRecord) => boolean, from: number) => {
    const record = await log.find(matches, from);
    story.log(told(record));
    expect(record.consumer === "pharma", `the record names consumer ${record.consumer}`);
  };
  await story.step(
    `Pharma, in its pod, reads ${HOSPITAL}/patients`,
    "all patients, and a record that names consumer pharma",
    async () => {
      const from = log.position;
      const answer = await ask(kubectl, `${HOSPITAL}/patients`);
      expect(answer.status === 200, inWords(answer));
      await shown(
        ({ direction, path, status }) => direction === "outbound" && path === "/patients" && status === 200,
        from,
      );
      const read = JSON.parse(answer.body) as unknown[];
      expect(read.length === patients.length, `${read.length} patients`);
      return `200: ${read.length} patients`;
    },
  );
  await story.step(
    `Somebody at Hospital asks pharma's app for /processed-data`,
    "an aggregate without names, and a record of each request: the one that came in and the one that went out",
    async () => {
      const from = log.position;
      const answer = await askFromHospital(kubectl, `http://pharma-app.${NAMESPACES.pharma}:8080/processed-data`);
      expect(answer.status === 200, inWords(answer));
      await shown(({ direction, path }) => direction === "inbound" && path === "/processed-data", from);
      await shown(({ direction, path }) => direction === "outbound" && path === "/patients", from);
      const { patients: count, meanAge } = JSON.parse(answer.body) as { patients: number; meanAge: number };
      return `200: ${count} patients, on average ${meanAge} years old`;
    },
  );
  await story.step("Pharma reads from the pod's address, past the Service", "recorded all the same", async () => {
    const from = log.position;
    const address = await addressOf(kubectl, NAMESPACES.hospital, "app=hospital-app");
    const answer = await ask(kubectl, `http://${address}:8080/patients/1`);
    expect(answer.status === 200, inWords(answer));
    await shown(({ destination, path }) => destination === `${address}:8080` && path === "/patients/1", from);
    return inWords(answer);
  });

  story.chapter("Pharma looks around: blocked, and recorded");
  // at the same time: each is given up after 5 s
  const reading = ask(kubectl, `${RESTRICTED}/patients`);
  const connecting = ask(kubectl, "https://kubernetes.default/version");
  void Promise.allSettled([reading, connecting]); // whichever fails, fails its own step
  await story.step(
    `Pharma reads ${RESTRICTED}/patients`,
    "blocked by the NetworkPolicy; the attempt is recorded",
    async () => {
      const answer = await reading;
      expect(answer.status === undefined || answer.status === 503, inWords(answer));
      await shown(({ host, flags }) => host === new URL(RESTRICTED).host && flags !== "-", 0);
      return inWords(answer);
    },
  );
  await story.step(
    "Pharma opens a TLS connection to the API server",
    "blocked, and recorded with the server's name",
    async () => {
      const answer = await connecting;
      expect(answer.status === undefined, inWords(answer));
      await shown(({ sni }) => sni === "kubernetes.default", 0);
      return inWords(answer);
    },
  );
  await story.step(
    "Pharma speaks UDP, which no proxy sees: it asks a DNS server at an address of its choice",
    "dropped in the pod's own network namespace; only the cluster's resolver answers",
    async () => {
      const name = `hospital-app.${NAMESPACES.hospital}.svc.cluster.local`;
      const other = await addressOf(kubectl, "kube-system", "k8s-app=kube-dns");
      const [resolver, direct] = await Promise.all([resolve(kubectl, name), resolve(kubectl, name, other)]);
      expect(resolver.status === 200, `the resolver: ${inWords(resolver)}`);
      expect(direct.status === undefined, `${other}: ${inWords(direct)}`);
      return [`the resolver: ${resolver.body}`, `the same DNS server by its pod's address: ${inWords(direct)}`];
    },
  );
}

/** IPv4 address of the first pod with that label. */
export async function addressOf(kubectl: Kubectl, namespace: string, label: string): Promise<string> {
  return await kubectl.run([
    "--namespace",
    namespace,
    "get",
    "pods",
    "-l",
    label,
    "-o",
    "jsonpath={.items[0].status.podIP}",
  ]);
}
