import assert from "node:assert/strict";
import { isDeepStrictEqual } from "node:util";
import { type AuditEntry, startCluster } from "./cluster.ts";
import { startDataSpacer } from "./data_spacer.ts";
import { Liqo, liqoPod } from "./liqo.ts";
import { ACCOUNT, type Kind, KINDS, Operator } from "./operator.ts";
import { until } from "./processes.ts";

const cluster = await startCluster({ audit: true });
Deno.test.afterAll(() => cluster[Symbol.asyncDispose]());
const operator = new Operator(cluster);
const liqo = await Liqo.install(cluster);
await liqo.createTenantNamespace("pharma");
await liqo.createTenantNamespace("bank");
await liqo.createTenantNamespace("lab", "v0");
await liqo.createOffloadedNamespace("early-pharma");
const dataSpacer = await startDataSpacer(cluster);

/** The NetworkPolicy as the README promises it, with the cluster's DNS as given. */
function networkPolicySpec(dns: object[]): object {
  const allowed = { matchLabels: { "data-space/netpol-allow": "true" } };
  const peers = [{ namespaceSelector: allowed }, { podSelector: allowed }];
  return {
    podSelector: {},
    policyTypes: ["Ingress", "Egress"],
    ingress: [{ from: peers }],
    egress: [{ to: peers }, { to: dns, ports: [{ protocol: "UDP", port: 53 }, { protocol: "TCP", port: 53 }] }],
  };
}

const DNS_PODS = {
  namespaceSelector: { matchLabels: { "kubernetes.io/metadata.name": "kube-system" } },
  podSelector: { matchLabels: { "k8s-app": "kube-dns" } },
};

Deno.test("an offloaded namespace has both objects, one that was there before too, applied as data-spacer", async (t) => {
  await liqo.createOffloadedNamespace("trial-pharma");
  for (const namespace of ["early-pharma", "trial-pharma"]) {
    await operator.holds(namespace, KINDS);
    for (const kind of KINDS) {
      await t.step(`${kind} in ${namespace}`, async () => {
        const { metadata, data, spec } = (await operator.find(kind, namespace))!;
        assert.deepEqual(metadata.labels, { "app.kubernetes.io/managed-by": "data-spacer" });
        assert.deepEqual(metadata.managedFields!.map((f) => `${f.manager} ${f.operation}`), ["data-spacer Apply"]);
        if (kind === "NetworkPolicy") return assert.deepEqual(spec, networkPolicySpec([DNS_PODS]));
        assert.deepEqual(Object.keys(data!).sort(), ["cds.json", "envoy.yaml", "lds.json"]);
        for (const key of ["cds.json", "lds.json"]) assert.ok(JSON.parse(data![key]!).resources.length > 0);
      });
    }
  }
});

Deno.test("tenant namespaces of both generations of Liqo and namespaces of the provider's own hold nothing", async () => {
  await operator.createNamespace("own");
  await operator.settled();
  for (const namespace of ["liqo-tenant-pharma", "liqo-tenant-bank", "liqo-tenant-lab", "own", "default"]) {
    await operator.holds(namespace, []);
  }
});

Deno.test("an opt-out removes its object, with an Event, and taking it away brings the object back", async (t) => {
  await liqo.createOffloadedNamespace("opting-pharma");
  await operator.holds("opting-pharma", KINDS);
  const optOuts: [label: string, kind: Kind, left: Kind][] = [
    ["data-space/apply-webhook", "ConfigMap", "NetworkPolicy"],
    ["data-space/apply-netpol", "NetworkPolicy", "ConfigMap"],
  ];
  for (const [label, kind, left] of optOuts) {
    await t.step(`${label} and ${kind}`, async () => {
      const { uid } = (await operator.find(left, "opting-pharma"))!.metadata;
      await operator.label("opting-pharma", { [label]: "false" });
      await operator.holds("opting-pharma", [left]);
      await operator.label("opting-pharma", { [label]: null });
      await operator.holds("opting-pharma", KINDS);
      await operator.label("opting-pharma", { [label]: "false" });
      await operator.holds("opting-pharma", [left]);
      await operator.label("opting-pharma", { [label]: "true" });
      await operator.holds("opting-pharma", KINDS);
      assert.equal((await operator.find(left, "opting-pharma"))!.metadata.uid, uid);
    });
  }
  const events = await operator.event("OptedOut", "opting-pharma", 4);
  assert.deepEqual(events.map(({ type, count }) => `${type} ${count}`), ["Normal 2", "Normal 2"]);
});

Deno.test("namespaces that are made with both opt-outs never hold anything", async () => {
  const labels = { "data-space/apply-webhook": "false", "data-space/apply-netpol": "false" };
  await liqo.createOffloadedNamespace("free-pharma", { labels });
  await operator.settled();
  await operator.holds("free-pharma", []);
  assert.deepEqual(await operator.writes(({ objectRef }) => objectRef?.namespace === "free-pharma"), []);
});

Deno.test("only exactly false opts out: any other value but true keeps the protection and gives a Warning", async (t) => {
  const values: [value: string, warned: boolean][] = [
    ["False", true],
    ["no", true],
    ["0", true],
    ["", true],
    ["true", false],
  ];
  for (const [i, [value, warned]] of values.entries()) {
    const name = `value-${i}-pharma`;
    await t.step(`"${value}"`, async () => {
      const labels = { "data-space/apply-webhook": value, "data-space/apply-netpol": value };
      await liqo.createOffloadedNamespace(name, { labels });
      await operator.holds(name, KINDS);
      if (warned) {
        const events = await operator.event("InvalidLabel", name, 2);
        assert.deepEqual(events.map(({ type }) => type), ["Warning", "Warning"]);
        for (const label of Object.keys(labels)) {
          assert.ok(events.some(({ message }) => message!.includes(`${label} "${value}"`)), label);
        }
      } else {
        await operator.settled();
        assert.deepEqual(await operator.events(undefined, name), []);
      }
    });
  }
});

Deno.test("where the annotation does not fit the label, apply-netpol is ignored and apply-webhook is not", async (t) => {
  const optOuts = { "data-space/apply-netpol": "false", "data-space/apply-webhook": "false" };
  const cases: [name: string, options: Parameters<Liqo["createOffloadedNamespace"]>[1], ...said: string[]][] = [
    ["spoofed", { claims: "bank" }, `"bank"`, `"pharma"`],
    ["unannotated", { namespaceMap: null }, `"pharma"`, "lacks the annotation"],
    ["misannotated", { namespaceMap: "liqo-tenant-pharma" }, `"pharma"`, "no tenant namespace"],
    ["astray", { namespaceMap: "trial-pharma/hospital" }, `"pharma"`, "no tenant namespace"],
    ["orphaned", { consumer: "nobody" }, `"nobody"`, "no tenant namespace"],
  ];
  for (const [name, options, ...said] of cases) {
    await t.step(name, async () => {
      await liqo.createOffloadedNamespace(name, { ...options, labels: optOuts });
      await operator.holds(name, ["NetworkPolicy"]);
      const [event] = await operator.event("ConsumerMismatch", name);
      assert.equal(event!.type, "Warning");
      for (const part of said) assert.ok(event!.message!.includes(part), event!.message);
    });
  }
});

Deno.test("a pod of a consumer that claims another's id carries both, the tenant namespace's first", async () => {
  await liqo.createOffloadedNamespace("claiming", { claims: "bank" });
  await operator.holds("claiming", KINDS);
  const answer = await liqo.createPod(await liqoPod("claiming", "spy"), { retryMs: 5_000 });
  assert.ok(answer.created, JSON.stringify(answer));
  const proxy = answer.pod.spec!.initContainers!.find(({ name }) => name === "data-space-proxy")!;
  const values = JSON.stringify(proxy.env);
  assert.ok(values.includes("pharma") && values.includes("bank"), values);
  assert.ok(values.indexOf("pharma") < values.indexOf("bank"), values);
});

Deno.test("the opt-out of a namespace holds as soon as a tenant namespace vouches for it, and no longer than that", async () => {
  const labels = { "data-space/apply-netpol": "false" };
  await liqo.createOffloadedNamespace("late-clinic", { consumer: "clinic", labels });
  await operator.holds("late-clinic", KINDS);
  const tenant = await liqo.createTenantNamespace("clinic");
  await operator.holds("late-clinic", ["ConfigMap"]);
  await operator.label(tenant, { "liqo.io/remote-cluster-id": "other" });
  await operator.holds("late-clinic", KINDS);

  await liqo.createOffloadedNamespace("late-v0", { consumer: "uuid-of-v0", labels });
  await operator.holds("late-v0", KINDS);
  await liqo.createTenantNamespace("uuid-of-v0", "v0");
  await operator.holds("late-v0", ["ConfigMap"]);
});

Deno.test("a namespace that loses the remote-cluster-id label, or turns out to be a tenant's, loses both objects", async (t) => {
  const changes: Record<string, Record<string, string | null>> = {
    unlabelled: { "liqo.io/remote-cluster-id": null },
    "tenant-v1": { "liqo.io/tenant-namespace": "true" },
    "tenant-v0": { "discovery.liqo.io/tenant-namespace": "true" },
  };
  for (const [name, labels] of Object.entries(changes)) {
    await t.step(name, async () => {
      await liqo.createOffloadedNamespace(name);
      await operator.holds(name, KINDS);
      await operator.label(name, labels);
      await operator.holds(name, []);
      const events = await operator.event("NoLongerOffloaded", name, 2);
      assert.ok(events.every(({ type }) => type === "Normal"));
    });
  }
  await operator.label("unlabelled", { "liqo.io/remote-cluster-id": "pharma" });
  await operator.holds("unlabelled", KINDS);
});

Deno.test("an object of our name in a namespace that is not ours is left alone", async () => {
  await operator.createNamespace("stranger");
  const name = "data-space-envoy-config";
  const body = {
    metadata: { name, labels: { "app.kubernetes.io/managed-by": "data-spacer" } },
    data: { key: "value" },
  };
  await cluster.call("/api/v1/namespaces/stranger/configmaps", { body });
  await operator.settled();
  assert.deepEqual((await operator.find("ConfigMap", "stranger"))?.data, { key: "value" });
});

Deno.test("a terminating namespace is left alone, whatever happens in it", async () => {
  await liqo.createOffloadedNamespace("ending");
  await operator.holds("ending", KINDS);
  await cluster.call("/api/v1/namespaces/ending/configmaps", {
    body: { metadata: { name: "held", finalizers: ["example.com/hold"] } },
  });
  await operator.delete("/api/v1/namespaces/ending");
  await operator.holds("ending", []); // by the cluster's namespace controller
  await operator.label("ending", { "data-space/apply-netpol": "maybe" });
  await operator.settled();
  await operator.label("ending", { "liqo.io/remote-cluster-id": null });
  await operator.settled();
  const writes = await operator.writes(({ objectRef }) => objectRef?.namespace === "ending");
  assert.deepEqual(writes, ["patch configmaps ending 201", "patch networkpolicies ending 201"]);
});

Deno.test("a namespace made anew under its name has its objects again", async () => {
  await liqo.createOffloadedNamespace("again");
  await operator.holds("again", KINDS);
  await operator.delete("/api/v1/namespaces/again");
  await until(async () => {
    return (await cluster.request("/api/v1/namespaces/again")).status === 404 ? true : undefined;
  }, { ms: 10_000, what: "end of the namespace" });
  await liqo.createOffloadedNamespace("again");
  await operator.holds("again", KINDS);
  assert.deepEqual((await operator.events(undefined, "again")).map(({ reason }) => reason), []);
});

Deno.test("a namespace whose Pod Security refuses the init container gets a Warning, which is true", async (t) => {
  for (const [level, refused] of [["restricted", true], ["baseline", true], ["privileged", false]] as const) {
    await t.step(level, async () => {
      const name = `security-${level}`;
      await liqo.createOffloadedNamespace(name, { labels: { "pod-security.kubernetes.io/enforce": level } });
      await operator.holds(name, KINDS);
      const answer = await liqo.createPod(await liqoPod(name), { dryRun: true, retryMs: 2_000 });
      assert.equal(answer.created, !refused, JSON.stringify(answer));
      if (!answer.created) {
        assert.match(answer.message, /violates PodSecurity.*data-space-init/);
        const [event] = await operator.event("PodSecurityRefusesInjection", name);
        assert.equal(event!.type, "Warning");
        assert.ok(event!.message!.includes(`"${level}"`), event!.message);
      } else {
        await operator.settled();
        assert.deepEqual(await operator.events(undefined, name), []);
      }
    });
  }
});

Deno.test("nothing is written when nothing differs: not for changes that say nothing to us, and not at a restart", async () => {
  await operator.label("trial-pharma", { team: "blue", "liqo.io/anything": "else" });
  await operator.patch("/api/v1/namespaces/trial-pharma", { metadata: { annotations: { note: "hello" } } });
  const noMark = ({ objectRef }: AuditEntry) => !objectRef?.namespace?.startsWith("mark-");
  const writes = (await operator.writes(noMark)).length;
  await operator.settled();
  assert.equal((await operator.writes(noMark)).length, writes);

  assert.equal(await dataSpacer.replica.stop(), 0);
  const stoppedAt = (await cluster.audit()).length;
  const replica = await dataSpacer.startReplica();
  await operator.settled();
  assert.ok(await replica.metric("data_spacer_reconciles_total", { controller: "namespaces" }) > 20);
  const later = (await cluster.audit()).slice(stoppedAt).filter((entry) =>
    entry.user.username === ACCOUNT && noMark(entry) && !["get", "list", "watch"].includes(entry.verb)
  );
  assert.deepEqual(
    later.map(({ objectRef }) => objectRef?.resource).filter((resource) =>
      resource !== "events" && resource !== "leases"
    ),
    [],
  );
});

Deno.test("what changed while we were down is made good at the start", async () => {
  const names = ["gone-free", "gone-out", "gone-drift", "gone-deleted"];
  for (const name of names) await liqo.createOffloadedNamespace(name);
  for (const name of names) await operator.holds(name, KINDS);
  await dataSpacer.replicas[1]!.stop();
  await operator.label("gone-free", { "liqo.io/remote-cluster-id": null });
  await operator.label("gone-out", { "data-space/apply-netpol": "false" });
  await operator.patch(operator.path("NetworkPolicy", "gone-drift"), { spec: { policyTypes: ["Egress"] } });
  await operator.delete(operator.path("ConfigMap", "gone-deleted"));
  await liqo.createOffloadedNamespace("gone-new");

  await dataSpacer.startReplica();
  await operator.holds("gone-free", []);
  await operator.holds("gone-out", ["ConfigMap"]);
  await operator.holds("gone-deleted", KINDS);
  await operator.holds("gone-new", KINDS);
  await operator.settled();
  assert.deepEqual((await operator.find("NetworkPolicy", "gone-drift"))!.spec, networkPolicySpec([DNS_PODS]));
});

Deno.test("flags choose another DNS, and objects made under other flags are brought up to date, which is no drift", async () => {
  await dataSpacer.replicas[2]!.stop();
  const replica = await dataSpacer.startReplica({
    flags: ["--dns-namespace=dns", "--dns-selector=app=coredns,tier=edge", "--dns-cidrs=169.254.20.10/32,fd00::/8"],
  });
  const spec = networkPolicySpec([
    {
      namespaceSelector: { matchLabels: { "kubernetes.io/metadata.name": "dns" } },
      podSelector: { matchLabels: { app: "coredns", tier: "edge" } },
    },
    { ipBlock: { cidr: "169.254.20.10/32" } },
    { ipBlock: { cidr: "fd00::/8" } },
  ]);
  await until(async () => {
    return isDeepStrictEqual((await operator.find("NetworkPolicy", "trial-pharma"))!.spec, spec) || undefined;
  }, { ms: 10_000, what: "NetworkPolicy with the other DNS" });
  await operator.settled();
  assert.deepEqual(await operator.events("ObjectDrift", "trial-pharma"), []);
  assert.ok(await replica.metric("data_spacer_object_writes_total", { because: "outdated" }) > 10);
});

Deno.test("in the end no tenant namespace was ever written to, and every Event lies in default and regards a Namespace", async () => {
  const tenants = await operator.requests(({ verb, objectRef }) =>
    !["get", "list", "watch"].includes(verb) && (objectRef?.namespace ?? "").startsWith("liqo-tenant-")
  );
  assert.deepEqual(tenants, []);
  for (const { metadata, involvedObject, reason } of await operator.events()) {
    assert.equal(`${reason} ${metadata.namespace} ${involvedObject.kind}`, `${reason} default Namespace`);
  }
});
