import assert from "node:assert/strict";
import { parse } from "yaml";
import { proxyArgs, renderEnvoyConfig } from "../../lib/core/envoy_config.ts";
import { envoyFiles, paths, ports } from "../../lib/core/names.ts";

const files = renderEnvoyConfig();
const listeners = JSON.parse(files[envoyFiles.listeners]!).resources;
const clusters = JSON.parse(files[envoyFiles.clusters]!).resources;

/** Every value of a key, however deep. */
function values(node: unknown, key: string): unknown[] {
  if (typeof node !== "object" || node === null) return [];
  return Object.entries(node).flatMap(([k, v]) => [...(k === key ? [v] : []), ...values(v, key)]);
}

Deno.test("renderEnvoyConfig() makes the files that the bootstrap names, at the place where they are mounted", () => {
  assert.deepEqual(Object.keys(files).sort(), Object.values(envoyFiles).sort());
  const bootstrap = parse(files[envoyFiles.bootstrap]!);
  const { lds_config, cds_config } = bootstrap.dynamic_resources;
  assert.equal(lds_config.path_config_source.path, `${paths.config}/${envoyFiles.listeners}`);
  assert.equal(cds_config.path_config_source.path, `${paths.config}/${envoyFiles.clusters}`);
  assert.equal(lds_config.path_config_source.watched_directory.path, paths.config);
  assert.equal(bootstrap.static_resources, undefined);
  assert.doesNotMatch(files[envoyFiles.bootstrap]!, /@[A-Z_]+@/, "no placeholder is left");
});

Deno.test("renderEnvoyConfig() keeps the admin interface on a socket, with an allow list that changes nothing", () => {
  const { admin, layered_runtime } = parse(files[envoyFiles.bootstrap]!);
  assert.deepEqual(admin.address, { pipe: { path: `${paths.run}/admin.sock`, mode: 0o600 } });
  assert.deepEqual(admin.allow_paths.map((p: Record<string, string>) => p.exact ?? p.prefix), [
    "/ready",
    "/stats/prometheus",
    "/stats/prometheus?",
  ]);
  assert.ok(!JSON.stringify(layered_runtime).includes("admin_layer"));
});

Deno.test("renderEnvoyConfig() listens on the ports of the project, IPv4 and IPv6, outbound on loopback alone", () => {
  const where = Object.fromEntries(
    listeners.map((l: { name: string }) => [l.name, [
      values(l, "port_value")[0],
      values(l, "address").flatMap((a) => typeof a === "string" ? [a] : []),
    ]]),
  );
  assert.deepEqual(where, {
    outbound: [ports.outbound, ["127.0.0.1", "::1"]],
    inbound: [ports.inbound, ["0.0.0.0", "::"]],
    health: [ports.health, ["0.0.0.0", "::"]],
    stats: [ports.stats, ["0.0.0.0", "::"]],
  });
});

Deno.test("renderEnvoyConfig() lets no header and no name decide where bytes go", () => {
  const kinds = clusters.map(({ name, type }: { name: string; type: string }) => [name, type]);
  assert.deepEqual(kinds, [["outbound", "ORIGINAL_DST"], ["inbound", "ORIGINAL_DST"], ["admin", "STATIC"]]);
  const text = JSON.stringify([listeners, clusters]);
  for (
    const word of [
      "use_http_header",
      "dynamic_forward_proxy",
      "cluster_header",
      "host_rewrite",
      "STRICT_DNS",
      "connect_matcher",
    ]
  ) {
    assert.ok(!text.includes(word), word);
  }
});

Deno.test("renderEnvoyConfig() gives every log the same fields, each string of a consumer a length", () => {
  const formats = values(listeners, "json_format") as Record<string, string>[];
  assert.equal(formats.length, 8, "two directions: http, tls, tcp and what no chain took");
  for (const format of formats) {
    assert.deepEqual(Object.keys(format), Object.keys(formats[0]!));
    for (const field of ["method", "host", "path"]) assert.match(format[field]!, /:\d+%$/);
    assert.doesNotMatch(format.path!, /^%REQ\(/, "the query is left out");
  }
  assert.deepEqual([...new Set(formats.map(({ direction }) => direction))], ["outbound", "inbound"]);
});

Deno.test("renderEnvoyConfig() derives a file's version from its contents", () => {
  assert.equal(files[envoyFiles.listeners], renderEnvoyConfig()[envoyFiles.listeners]);
  const versions = [envoyFiles.listeners, envoyFiles.clusters].map((name) => JSON.parse(files[name]!).version_info);
  assert.notEqual(versions[0], versions[1]);
});

Deno.test("renderEnvoyConfig() is far below what a ConfigMap holds", () => {
  assert.ok(Object.values(files).join("").length < 40_000);
});

Deno.test("proxyArgs switches hot restart off", () => {
  assert.ok(proxyArgs.includes("--disable-hot-restart"));
  assert.ok(proxyArgs.includes("--reject-unknown-dynamic-fields"));
});
