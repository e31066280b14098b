import assert from "node:assert/strict";
import type { MutatingWebhookConfiguration } from "kubernetes-types/admissionregistration/v1.d.ts";
import { ROOT } from "../support/tree.ts";
import { type Cluster, startCluster } from "./cluster.ts";
import { startDataSpacer } from "./data_spacer.ts";
import { Liqo, liqoPod } from "./liqo.ts";
import { Authority, type KeyPair } from "./pki.ts";
import { until } from "./processes.ts";

const WEBHOOK = "/apis/admissionregistration.k8s.io/v1/mutatingwebhookconfigurations/data-spacer";
const CERTIFICATE = "/apis/cert-manager.io/v1/namespaces/data-spacer/certificates/data-spacer";

/** Lets the API server know cert-manager's kinds as far as the overlay uses them. */
async function defineKinds(cluster: Cluster): Promise<void> {
  const crds = ["Issuer", "Certificate"].map((kind) => ({
    apiVersion: "apiextensions.k8s.io/v1",
    kind: "CustomResourceDefinition",
    metadata: { name: `${kind.toLowerCase()}s.cert-manager.io` },
    spec: {
      group: "cert-manager.io",
      scope: "Namespaced",
      names: { kind, plural: `${kind.toLowerCase()}s` },
      versions: [{
        name: "v1",
        served: true,
        storage: true,
        schema: { openAPIV3Schema: { type: "object", "x-kubernetes-preserve-unknown-fields": true } },
      }],
    },
  }));
  const stdin = JSON.stringify({ apiVersion: "v1", kind: "List", items: crds });
  const applied = await cluster.kubectl(["apply", "-f", "-"], { stdin });
  assert.equal(applied.code, 0, applied.stderr);
  const established = await cluster.kubectl(["wait", "--for=condition=established", "crd", "--all", "--timeout=10s"]);
  assert.equal(established.code, 0, established.stderr);
}

/** A mounted Secret as the kubelet keeps it: files that are links into a folder, which is swapped as a whole. */
class MountedSecret {
  readonly cert: string;
  readonly key: string;
  readonly #folder: string;
  #version = 0;

  constructor(folder: string) {
    this.#folder = folder;
    this.cert = `${folder}/tls.crt`;
    this.key = `${folder}/tls.key`;
  }

  async write({ cert, key }: KeyPair): Promise<void> {
    const version = `..${++this.#version}`;
    await Deno.mkdir(`${this.#folder}/${version}`, { recursive: true });
    await Deno.writeTextFile(`${this.#folder}/${version}/tls.crt`, cert);
    await Deno.writeTextFile(`${this.#folder}/${version}/tls.key`, key, { mode: 0o600 });
    await Deno.symlink(version, `${this.#folder}/..data_tmp`);
    await Deno.rename(`${this.#folder}/..data_tmp`, `${this.#folder}/..data`);
    if (this.#version > 1) return;
    for (const file of ["tls.crt", "tls.key"]) await Deno.symlink(`..data/${file}`, `${this.#folder}/${file}`);
  }
}

Deno.test("with cert-manager's certificate pods are injected, also while it changes; we need no right to Secrets or webhooks", async (t) => {
  await using cluster = await startCluster({ audit: true });
  await defineKinds(cluster);
  const manifests = `${ROOT}deploy/overlays/cert-manager`;
  const applied = await cluster.kubectl(["apply", "-k", manifests]);
  assert.equal(applied.code, 0, applied.stderr);

  // What cert-manager does: signs for the names asked for, writes the Secret, tells the API server whom to trust.
  const { spec } = await cluster.call<{ spec: { dnsNames: string[] } }>(CERTIFICATE);
  const subject = { name: "data-spacer", hosts: spec.dnsNames };
  const [authority, successor] = [await Authority.create(), await Authority.create()];
  const secret = new MountedSecret(`${cluster.processes.folder}/certificate`);
  await secret.write(await authority.issue(subject));
  const trust = async (...authorities: Authority[]): Promise<string> => {
    const value = btoa(authorities.map(({ ca }) => ca).join(""));
    const body = [{ op: "add", path: "/webhooks/0/clientConfig/caBundle", value }];
    await cluster.call(WEBHOOK, { method: "PATCH", contentType: "application/json-patch+json", body });
    return value;
  };
  await trust(authority);

  const flags = [`--tls-cert-file=${secret.cert}`, `--tls-key-file=${secret.key}`];
  await using dataSpacer = await startDataSpacer(cluster, { manifests, flags });
  const liqo = await Liqo.install(cluster);
  await liqo.createTenantNamespace();
  await liqo.createOffloadedNamespace();
  const answer = await liqo.createPod(await liqoPod(), { retryMs: 5_000 });
  assert.ok(answer.created, JSON.stringify(answer));
  assert.equal(answer.pod.spec!.initContainers![0]!.name, "data-space-init");

  const logged = async (message: string) =>
    (await dataSpacer.replica.logs()).filter((line) => line.message === message).length;
  const follows = (message: string, count: number) =>
    until(async () => await logged(message) === count || undefined, { ms: 15_000, what: message });
  const failures: string[] = [];
  let admitted = 0;
  const admit = async (name: string) => {
    const answer = await liqo.createPod(await liqoPod("trial-pharma", name), { dryRun: true });
    if (answer.created) admitted++;
    else failures.push(answer.message);
  };
  const stop = new AbortController();
  const load = Promise.all(["a", "b"].map(async (name) => {
    while (!stop.signal.aborted) await admit(name);
  }));
  try {
    await t.step("a pair that cannot be used is reported, and the one before goes on", async () => {
      const { cert } = await authority.issue(subject);
      await secret.write({ cert, key: (await authority.issue(subject)).key });
      await follows("Cannot use mounted certificate", 1);
      await admit("c");
    });
    await t.step("another authority's pair is served as soon as it is mounted", async () => {
      await trust(authority, successor);
      await new Promise((resolve) => setTimeout(resolve, 1_000)); // until the API server has heard of it
      await secret.write(await successor.issue(subject));
      await follows("Read certificate", 2);
    });
  } finally {
    stop.abort();
    await load;
  }
  assert.deepEqual(failures, []);
  assert.ok(admitted > 20, `only ${admitted} admissions`);

  const caBundle = await trust(successor);
  await new Promise((resolve) => setTimeout(resolve, 1_000));
  await admit("d");
  assert.deepEqual(failures, []);
  const { webhooks } = await cluster.call<MutatingWebhookConfiguration>(WEBHOOK);
  assert.equal(webhooks![0]!.clientConfig.caBundle, caBundle);
  const ours = (await cluster.audit()).filter(({ user }) => user.username.endsWith(":data-spacer:data-spacer"));
  assert.ok(ours.length > 10);
  assert.deepEqual(ours.filter(({ responseStatus }) => responseStatus?.code === 403).map((e) => e.requestURI), []);
});
