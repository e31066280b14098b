import assert from "node:assert/strict";
import type { MutatingWebhookConfiguration } from "kubernetes-types/admissionregistration/v1.d.ts";
import { ROOT } from "../support/tree.ts";
import { type Cluster, startCluster } from "./cluster.ts";
import { startDataSpacer } from "./data_spacer.ts";
import { Liqo, liqoPod } from "./liqo.ts";
import { Authority } from "./pki.ts";

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

Deno.test("with cert-manager's certificate pods are injected, and we need no right to Secrets or webhooks", async () => {
  await using cluster = await startCluster({ audit: true });
  await defineKinds(cluster);
  const manifests = `${ROOT}deploy/overlays/cert-manager`;
  const applied = await cluster.kubectl(["apply", "-k", manifests]);
  assert.equal(applied.code, 0, applied.stderr);

  // What cert-manager does: signs for the names asked for, writes the files, tells the API server whom to trust.
  const { spec } = await cluster.call<{ spec: { dnsNames: string[] } }>(CERTIFICATE);
  const authority = await Authority.create();
  const { cert, key } = await authority.issue({ name: "data-spacer", hosts: spec.dnsNames });
  const files = { cert: `${cluster.processes.folder}/tls.crt`, key: `${cluster.processes.folder}/tls.key` };
  await Deno.writeTextFile(files.cert, cert);
  await Deno.writeTextFile(files.key, key, { mode: 0o600 });
  const caBundle = btoa(authority.ca);
  const patch = [{ op: "add", path: "/webhooks/0/clientConfig/caBundle", value: caBundle }];
  await cluster.call(WEBHOOK, { method: "PATCH", contentType: "application/json-patch+json", body: patch });

  const flags = [`--tls-cert-file=${files.cert}`, `--tls-key-file=${files.key}`];
  await using _dataSpacer = await startDataSpacer(cluster, { manifests, flags });
  const liqo = await Liqo.install(cluster);
  await liqo.createTenantNamespace();
  await liqo.createOffloadedNamespace();
  const answer = await liqo.createPod(await liqoPod(), { retryMs: 5_000 });
  assert.ok(answer.created, JSON.stringify(answer));
  assert.equal(answer.pod.spec!.initContainers![0]!.name, "data-space-init");

  const { webhooks } = await cluster.call<MutatingWebhookConfiguration>(WEBHOOK);
  assert.equal(webhooks![0]!.clientConfig.caBundle, caBundle);
  const ours = (await cluster.audit()).filter(({ user }) => user.username.endsWith(":data-spacer:data-spacer"));
  assert.ok(ours.length > 10);
  assert.deepEqual(ours.filter(({ responseStatus }) => responseStatus?.code === 403).map((e) => e.requestURI), []);
});
