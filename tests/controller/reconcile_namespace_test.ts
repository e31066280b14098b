import assert from "node:assert/strict";
import { reconcileNamespace } from "../../lib/controller/reconcile_namespace.ts";
import { Reminders } from "../../lib/controller/reminders.ts";
import { Tampering } from "../../lib/controller/tampering.ts";
import { Written } from "../../lib/controller/written.ts";
import { type Because, objectTemplates } from "../../lib/core/desired_state.ts";
import { injectionTemplate } from "../../lib/core/injected.ts";
import { PreparedTemplate } from "../../lib/core/injection.ts";
import { labels, liqo, objects } from "../../lib/core/names.ts";
import type { NamespaceFacts } from "../../lib/core/namespace_policy.ts";
import type { Finding } from "../../lib/core/reasons.ts";
import { NamespaceStore } from "../../lib/state/namespaces.ts";
import { FakeApi, FakeSource } from "../support/fake_api.ts";
import { testSettings } from "../support/settings.ts";

const settings = testSettings();
const templates = objectTemplates(settings);
const injection = { current: new PreparedTemplate(injectionTemplate(settings, templates)), accepted: [] };

function setUp() {
  const api = new FakeApi();
  const namespaces = new FakeSource<NamespaceFacts>();
  const sources = { namespaces, tenantsV0: new FakeSource<NamespaceFacts>(), owned: api.sources };
  const store = new NamespaceStore(sources, settings, () => injection);
  const clock = { ms: 0 };
  const written = new Written(api.sources, () => clock.ms);
  written.follow();
  const findings: Finding[] = [];
  const regarded: { name: string; uid: string }[] = [];
  const done: Because[] = [];
  const reconcile = reconcileNamespace({
    client: api,
    store,
    templates,
    earlier: () => [],
    written,
    tampering: new Tampering(() => clock.ms),
    reminders: new Reminders(() => clock.ms),
    report: (namespace, finding) => {
      regarded.push(namespace);
      findings.push(finding);
    },
    done: (_kind, because) => done.push(because),
  });
  const run = () => reconcile("trial-pharma", new AbortController().signal);
  const offload = (extra: Record<string, string> = {}, facts: Partial<NamespaceFacts> = {}) => {
    api.namespace("trial-pharma");
    namespaces.set("trial-pharma", {
      name: "trial-pharma",
      uid: "ns-uid",
      labels: { [liqo.remoteClusterId]: "pharma", ...extra },
      namespaceMap: "liqo-tenant-pharma/hospital",
      terminating: false,
      ...facts,
    });
  };
  namespaces.set("liqo-tenant-pharma", {
    name: "liqo-tenant-pharma",
    uid: "tenant-uid",
    labels: { [liqo.remoteClusterId]: "pharma", [liqo.tenantNamespace]: "true" },
    namespaceMap: undefined,
    terminating: false,
  });
  return { api, namespaces, store, clock, findings, regarded, done, run, offload };
}

Deno.test("reconcileNamespace() makes both objects, and then writes nothing", async () => {
  const { api, run, offload, done, store } = setUp();
  offload();
  assert.equal(store.get("trial-pharma")?.ready, false);
  await run();
  assert.deepEqual(done, ["absent", "absent"]);
  assert.equal(store.get("trial-pharma")?.ready, true);
  const calls = api.calls.length;
  assert.deepEqual(await run(), {});
  assert.equal(api.calls.length, calls);
});

Deno.test("reconcileNamespace() writes nothing twice while the watch is late", async () => {
  const { api, run, offload } = setUp();
  offload();
  api.paused = true;
  await run();
  const calls = api.calls.length;
  assert.deepEqual(await run(), { requeueAfterMs: 30_000 });
  assert.equal(api.calls.length, calls);
  api.resume();
  assert.deepEqual(await run(), {});
  assert.equal(api.calls.length, calls);
});

Deno.test("reconcileNamespace() repairs what others did to our objects", async (t) => {
  const changes: [string, (api: FakeApi) => void][] = [
    ["changed data", (api) => {
      const object = api.stored("ConfigMap", "trial-pharma")!;
      api.edit({ ...object, data: { ...object.data, "envoy.yaml": "{}" } });
    }],
    ["an added key", (api) => {
      const object = api.stored("ConfigMap", "trial-pharma")!;
      api.edit({ ...object, data: { ...object.data, more: "x" } });
    }],
    ["Liqo's orphan labels", (api) => {
      const object = api.stored("ConfigMap", "trial-pharma")!;
      const added = { "offloading.liqo.io/origin": "pharma", "offloading.liqo.io/destination": "hospital" };
      api.edit({ ...object, metadata: { ...object.metadata, labels: { ...object.metadata?.labels, ...added } } });
    }],
    ["an annotation", (api) => {
      const object = api.stored("ConfigMap", "trial-pharma")!;
      api.edit({ ...object, metadata: { ...object.metadata, annotations: { a: "b" } } });
    }],
    ["a finalizer", (api) => {
      const object = api.stored("ConfigMap", "trial-pharma")!;
      api.edit({ ...object, metadata: { ...object.metadata, finalizers: ["x/y"] } });
    }],
    ["an owner", (api) => {
      const object = api.stored("ConfigMap", "trial-pharma")!;
      const ownerReferences = [{ apiVersion: "v1", kind: "Secret", name: "s", uid: "u" }];
      api.edit({ ...object, metadata: { ...object.metadata, ownerReferences } });
    }],
    ["immutability", (api) => api.edit({ ...api.stored("ConfigMap", "trial-pharma")!, immutable: true })],
    ["changed data, immutable", (api) => {
      api.edit({ ...api.stored("ConfigMap", "trial-pharma")!, data: { evil: "x" }, immutable: true });
    }],
    ["immutability and a finalizer", (api) => {
      const object = api.stored("ConfigMap", "trial-pharma")!;
      api.edit({ ...object, immutable: true, metadata: { ...object.metadata, finalizers: ["x/y"] } });
    }],
    ["deletion held by a finalizer", (api) => {
      const object = api.stored("ConfigMap", "trial-pharma")!;
      api.edit({ ...object, metadata: { ...object.metadata, finalizers: ["x/y"] } });
      api.going("ConfigMap", "trial-pharma");
    }],
    ["our label taken off", (api) => {
      const object = api.stored("ConfigMap", "trial-pharma")!;
      api.edit({ ...object, metadata: { ...object.metadata, labels: {} } });
    }],
    ["a wider policy", (api) => {
      const object = api.stored("NetworkPolicy", "trial-pharma")!;
      api.edit({ ...object, spec: { podSelector: {}, policyTypes: ["Ingress"], ingress: [{}] } });
    }],
    ["deletion", (api) => api.remove("NetworkPolicy", "trial-pharma")],
  ];
  for (const [name, change] of changes) {
    await t.step(name, async () => {
      const { api, run, offload, findings, done, store } = setUp();
      offload();
      await run();
      change(api);
      await run();
      await run();
      assert.equal(store.get("trial-pharma")?.ready, true);
      assert.deepEqual(findings.map(({ reason }) => reason), ["ObjectDrift"]);
      assert.equal(done.at(-1), "drift");
      for (const kind of ["ConfigMap", "NetworkPolicy"] as const) {
        assert.equal(store.owned("trial-pharma").find((o) => o.kind === kind)?.digest, templates[kind].digest);
      }
    });
  }
});

Deno.test("reconcileNamespace() takes over an object of our name, and says so", async (t) => {
  for (const label of [{}, { [labels.managedBy]: "data-spacer" }]) {
    await t.step(JSON.stringify(label), async () => {
      const { api, run, offload, findings, store } = setUp();
      api.edit({
        kind: "ConfigMap",
        metadata: { name: objects.envoyConfig, namespace: "trial-pharma", labels: label },
        data: { evil: "x" },
      });
      offload();
      await run();
      assert.equal(store.get("trial-pharma")?.ready, true);
      assert.deepEqual(findings.map(({ reason }) => reason), ["ObjectTakenOver"]);
      assert.equal(api.stored("ConfigMap", "trial-pharma")?.data?.evil, undefined);
    });
  }
});

Deno.test("reconcileNamespace() repairs repeated tampering at once, then with back-off up to 30 s", async () => {
  const { api, run, offload, clock } = setUp();
  offload();
  await run();
  const waits: number[] = [];
  for (let i = 0; i < 12; i++) {
    const object = api.stored("ConfigMap", "trial-pharma")!;
    api.edit({ ...object, data: { ...object.data, more: String(i) } });
    const { requeueAfterMs = 0 } = await run();
    waits.push(requeueAfterMs);
    clock.ms += requeueAfterMs;
    if (requeueAfterMs > 0) await run();
    assert.equal(api.stored("ConfigMap", "trial-pharma")?.data?.more, undefined);
  }
  assert.deepEqual(waits, [0, 0, 500, 1_000, 2_000, 4_000, 8_000, 16_000, 30_000, 30_000, 30_000, 30_000]);
  clock.ms += 200_000;
  const object = api.stored("ConfigMap", "trial-pharma")!;
  api.edit({ ...object, data: { ...object.data, more: "later" } });
  assert.deepEqual(await run(), {});
});

Deno.test("reconcileNamespace() removes what a namespace opts out of, and brings it back", async (t) => {
  for (const [label, kind] of [[labels.applyWebhook, "ConfigMap"], [labels.applyNetpol, "NetworkPolicy"]] as const) {
    await t.step(label, async () => {
      const { api, run, offload, findings, done } = setUp();
      offload();
      await run();
      offload({ [label]: "false" });
      await run();
      assert.equal(api.stored(kind, "trial-pharma"), undefined);
      assert.equal(done.at(-1), "opted-out");
      assert.deepEqual(findings.map(({ reason }) => reason), ["OptedOut"]);
      offload();
      await run();
      assert.ok(api.stored(kind, "trial-pharma"));
      assert.equal(done.at(-1), "absent");
    });
  }
});

Deno.test("reconcileNamespace() keeps the protection on any other value, with a warning once", async () => {
  const { api, run, offload, findings } = setUp();
  offload({ [labels.applyNetpol]: "no", [labels.applyWebhook]: "False" });
  await run();
  await run();
  assert.ok(api.stored("ConfigMap", "trial-pharma") && api.stored("NetworkPolicy", "trial-pharma"));
  assert.deepEqual(findings.map(({ reason }) => reason), ["InvalidLabel", "InvalidLabel"]);
});

Deno.test("reconcileNamespace() says again what still holds before its Event is forgotten", async () => {
  const { run, offload, findings, clock } = setUp();
  offload({ [labels.podProfile]: "observed" });
  await run();
  assert.deepEqual(findings.map(({ reason }) => reason), ["RedirectAdvisory"]);
  const { requeueAfterMs } = await run();
  assert.ok(requeueAfterMs! <= 3_600_000, "Events live for an hour");
  clock.ms += requeueAfterMs!;
  await run();
  assert.equal(findings.length, 2);
});

Deno.test("reconcileNamespace() ignores apply-netpol where another consumer's id is claimed", async () => {
  const { api, run, offload, findings } = setUp();
  offload({ [liqo.remoteClusterId]: "bank", [labels.applyNetpol]: "false" });
  await run();
  assert.ok(api.stored("NetworkPolicy", "trial-pharma"));
  assert.equal(findings[0]?.reason, "ConsumerMismatch");
});

Deno.test("reconcileNamespace() removes our objects, and only ours, from a namespace that is offloaded no more", async () => {
  const { api, namespaces, run, offload, findings } = setUp();
  offload();
  await run();
  namespaces.delete("trial-pharma");
  await run();
  assert.equal(api.stored("ConfigMap", "trial-pharma"), undefined);
  assert.equal(api.stored("NetworkPolicy", "trial-pharma"), undefined);
  assert.deepEqual(findings.map(({ reason }) => reason), ["NoLongerOffloaded", "NoLongerOffloaded"]);
  const metadata = {
    name: objects.envoyConfig,
    namespace: "trial-pharma",
    labels: { [labels.managedBy]: "data-spacer" },
  };
  api.edit({ kind: "ConfigMap", metadata });
  await run();
  assert.ok(api.stored("ConfigMap", "trial-pharma"));
});

Deno.test("reconcileNamespace() names the namespace's uid also where it is offloaded no more", async () => {
  const { namespaces, run, offload, regarded } = setUp();
  offload();
  await run();
  namespaces.delete("trial-pharma");
  await run();
  assert.deepEqual(regarded, [{ name: "trial-pharma", uid: "ns-uid" }, { name: "trial-pharma", uid: "ns-uid" }]);
});

Deno.test("reconcileNamespace() takes no object for drift that went with its namespace, or while that was not ours", async () => {
  const { api, namespaces, run, offload, done, findings } = setUp();
  offload();
  await run();
  offload({}, { terminating: true });
  api.remove("ConfigMap", "trial-pharma");
  await run();
  namespaces.delete("trial-pharma");
  api.remove("NetworkPolicy", "trial-pharma");
  await run();
  offload();
  await run();
  assert.deepEqual(done, ["absent", "absent", "absent", "absent"]);
  assert.deepEqual(findings, []);
});

Deno.test("reconcileNamespace() makes at once what was deleted right after its repair, and before the watch showed that", async () => {
  const { api, run, offload, store } = setUp();
  offload();
  await run();
  const object = api.stored("ConfigMap", "trial-pharma")!;
  api.edit({ ...object, data: { evil: "x" } });
  api.paused = true;
  await run();
  api.remove("ConfigMap", "trial-pharma"); // the watch tells the deletion, with the version before the repair
  api.paused = false;
  await run();
  assert.equal(store.get("trial-pharma")?.ready, true);
});

Deno.test("reconcileNamespace() leaves a terminating namespace alone", async () => {
  const { api, namespaces, run, offload } = setUp();
  offload({}, { terminating: true });
  assert.deepEqual(await run(), {});
  assert.deepEqual(api.calls, []);
  offload();
  await run();
  api.namespace("trial-pharma", { terminating: true });
  namespaces.delete("trial-pharma");
  api.calls.length = 0;
  await run();
  assert.deepEqual(api.calls, ['get Namespace "trial-pharma"']);
});
