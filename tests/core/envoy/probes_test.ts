import assert from "node:assert/strict";
import type { Container } from "kubernetes-types/core/v1.d.ts";
import { probesVariable } from "../../../lib/core/envoy/probes.ts";

const container = (probes: Partial<Container>): Container => ({ name: "app", ...probes });
const get = (port: number | string, path?: string, scheme?: string) => ({
  httpGet: { port, ...(path !== undefined && { path }), ...(scheme !== undefined && { scheme }) },
});

Deno.test("probesVariable() lists port and path of plain HTTP probes", async (t) => {
  const cases: Record<string, [Container[], string]> = {
    "no container": [[], ""],
    "no probe": [[container({})], ""],
    "all three kinds, sorted, each once": [[
      container({ livenessProbe: get(8080, "/b"), readinessProbe: get(8080, "/a"), startupProbe: get(8080, "/b") }),
    ], " 8080/a 8080/b "],
    "several containers": [
      [container({ livenessProbe: get(1, "/x") }), container({ livenessProbe: get(2, "/x") })],
      " 1/x 2/x ",
    ],
    "a path without a slash, and none": [
      [container({ livenessProbe: get(1, "x"), readinessProbe: get(2) })],
      " 1/x 2/ ",
    ],
    "a query": [[container({ livenessProbe: get(1, "/x?y=1") })], " 1/x?y=1 "],
    "a named port": [
      [container({ ports: [{ name: "web", containerPort: 9 }], livenessProbe: get("web", "/x") })],
      " 9/x ",
    ],
    "a port as text": [[container({ livenessProbe: get("81", "/x") })], " 81/x "],
    "a name that no port has": [[container({ livenessProbe: get("web", "/x") })], ""],
    "HTTPS": [[container({ livenessProbe: get(1, "/x", "HTTPS") })], ""],
    "other kinds": [
      [container({ livenessProbe: { tcpSocket: { port: 1 } }, readinessProbe: { grpc: { port: 2 } } })],
      "",
    ],
  };
  for (const [name, [containers, expected]] of Object.entries(cases)) {
    await t.step(name, () => assert.equal(probesVariable(containers), expected));
  }
});

Deno.test("probesVariable() takes no path that could stand for more than itself", () => {
  for (const path of ["/a 8080/secret ", "/a\n", "/ü", `/${"x".repeat(256)}`, "/a\tb", "/$(POD_NAME)"]) {
    assert.equal(probesVariable([container({ livenessProbe: get(8080, path) })]), "");
  }
});

Deno.test("probesVariable() stays short whatever the pod holds", () => {
  const many = Array.from({ length: 100 }, (_, i) => container({ livenessProbe: get(8080, `/${"p".repeat(40)}${i}`) }));
  const value = probesVariable(many);
  assert.ok(value.length <= 1_024);
  assert.match(value, /^( \d+\/\S+)+ $/);
});
