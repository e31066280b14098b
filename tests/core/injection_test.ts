import assert from "node:assert/strict";
import type { Container } from "kubernetes-types/core/v1.d.ts";
import { injectionTemplate, type PodValues } from "../../lib/core/injected.ts";
import { PreparedTemplate } from "../../lib/core/injection.ts";
import { envoyFiles, injectedNames, paths, ports } from "../../lib/core/names.ts";
import { redirectScript } from "../../lib/core/redirect_script.ts";
import { testSettings } from "../support/settings.ts";

const settings = testSettings({ resolvers: ["10.96.0.10", "fd00::a"] });
const template = injectionTemplate(settings);
const values: PodValues = { proxyUid: 21337, consumer: "pharma", claimedConsumer: "pharma", probes: " 8080/ok " };

function containers(changed: Partial<PodValues> = {}): Container[] {
  return new PreparedTemplate(template).containers({ ...values, ...changed }).map(({ object }) => object);
}

Deno.test("injectionTemplate() makes the redirect's container as its script wants it", () => {
  const [init] = containers();
  assert.equal(init!.name, injectedNames.init);
  assert.deepEqual(init!.command, ["/bin/sh", "-c", redirectScript]);
  assert.deepEqual(init!.args, [
    "redirect",
    "proxy-uid=21337",
    "resolvers=10.96.0.10,fd00::a",
    `outbound-port=${ports.outbound}`,
    `inbound-port=${ports.inbound}`,
    `health-port=${ports.health}`,
    "mark=0xd5",
    "backend=nft",
  ]);
});

Deno.test("injectionTemplate() makes the proxy a native sidecar that reads its folder of files", () => {
  const [, proxy] = containers();
  assert.equal(proxy!.name, injectedNames.proxy);
  assert.equal(proxy!.restartPolicy, "Always");
  assert.deepEqual(proxy!.args?.slice(0, 3), [
    "-c",
    `${paths.config}/${envoyFiles.bootstrap}`,
    "--disable-hot-restart",
  ]);
  assert.deepEqual(proxy!.securityContext?.runAsUser, 21337);
  assert.deepEqual(proxy!.volumeMounts?.[0], {
    name: injectedNames.configVolume,
    mountPath: paths.config,
    readOnly: true,
  });
  assert.ok(proxy!.volumeMounts?.every((mount) => mount.subPath === undefined));
});

Deno.test("injectionTemplate() gives both requests equal to limits, no escalation, and what they need only", () => {
  for (const container of containers()) {
    assert.deepEqual(container.resources?.requests, container.resources?.limits);
    assert.equal(container.securityContext?.allowPrivilegeEscalation, false);
    assert.equal(container.securityContext?.readOnlyRootFilesystem, true);
    assert.deepEqual(container.securityContext?.capabilities?.drop, ["ALL"]);
    assert.deepEqual(container.securityContext?.seccompProfile, { type: "RuntimeDefault" });
  }
  const [init, proxy] = containers();
  assert.deepEqual(init!.securityContext?.capabilities?.add, ["NET_ADMIN", "NET_RAW"]);
  assert.equal(proxy!.securityContext?.capabilities?.add, undefined);
  assert.equal(proxy!.securityContext?.runAsNonRoot, true);
});

Deno.test("injectionTemplate() has another id for each setting that its pods depend on, and for no other", async (t) => {
  const changed: Record<string, Partial<typeof settings>> = {
    proxyImage: { proxyImage: "envoy:x" },
    initImage: { initImage: "init:x" },
    resolvers: { resolvers: ["10.0.0.10"] },
    proxyUids: { proxyUids: { first: 30_000, last: 30_001 } },
    proxyResources: { proxyResources: { cpu: "1", memory: "1Gi" } },
    imagePullSecret: { imagePullSecret: "x" },
    redirectBackend: { redirectBackend: "legacy" },
    dnsCidrs: { dnsCidrs: ["169.254.20.10/32"] },
  };
  for (const [name, change] of Object.entries(changed)) {
    await t.step(name, () => assert.notEqual(injectionTemplate({ ...settings, ...change }).id, template.id));
  }
  await t.step("the same", () => assert.equal(injectionTemplate(testSettings({ ...settings })).id, template.id));
  await t.step("another", () => {
    assert.equal(injectionTemplate({ ...settings, workers: 1, logLevel: "debug" }).id, template.id);
  });
});

Deno.test("PreparedTemplate.containers() puts values in as they are, whatever they hold", () => {
  const odd = `"\\\n{{proxyUid}}$&{{consumer}}ü\u2028`;
  const [init, proxy] = containers({ consumer: odd, claimedConsumer: odd, probes: odd, proxyUid: 7 });
  const env = Object.fromEntries(proxy!.env!.map(({ name, value }) => [name, value]));
  assert.equal(env.CONSUMER_ID, odd);
  assert.equal(env.CLAIMED_CONSUMER_ID, odd);
  assert.equal(env.PROBES, odd);
  assert.equal(proxy!.securityContext?.runAsUser, 7);
  assert.equal(proxy!.securityContext?.runAsGroup, 7);
  assert.equal(init!.args?.[1], "proxy-uid=7");
});

Deno.test("PreparedTemplate.containers() keeps what it made, but not for ever", () => {
  const prepared = new PreparedTemplate(template);
  const first = prepared.containers(values);
  assert.equal(prepared.containers(values)[1]!.object, first[1]!.object);
  for (let i = 0; i < 1_000; i++) prepared.containers({ ...values, consumer: `c${i}` });
  const again = prepared.containers(values);
  assert.notEqual(again[1]!.object, first[1]!.object);
  assert.deepEqual(again, first);
});

Deno.test("PreparedTemplate tells its operations in a form that puts them before all init containers", () => {
  const ops = new PreparedTemplate(template).containers(values).map(({ op }) => JSON.parse(op.json));
  assert.deepEqual(ops.map(({ op, path }) => [op, path]), [
    ["add", "/spec/initContainers/0"],
    ["add", "/spec/initContainers/1"],
  ]);
  assert.deepEqual(ops.map(({ value }) => value), containers());
});
