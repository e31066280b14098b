import assert from "node:assert/strict";
import type { PodSpec } from "kubernetes-types/core/v1.d.ts";
import { run as runInject } from "../../lib/cli/inject.ts";
import { run as runRender } from "../../lib/cli/render.ts";
import { runVerb } from "../support/run_verb.ts";
import { admitted, documents, inject, namespace, pod, stream } from "./offline_pods.ts";

Deno.test("inject that refuses anything prints nothing but a line for each violation", async (t) => {
  const hostile = (securityContext: object) => ({ containers: [{ name: "app", image: "x", securityContext }] });
  const table: [name: string, objects: unknown[], lines: RegExp[]][] = [
    [
      "a pod, beside one that is right",
      [pod(), pod("evil", { spec: hostile({ privileged: true, runAsUser: 0 }) })],
      [
        /^Pod\/evil: spec\.containers\[0\]\.securityContext\.runAsUser: must be a user id other than 0/,
        /^Pod\/evil: spec\.containers\[0\]\.securityContext\.runAsNonRoot: must be true$/,
        /^Pod\/evil: spec\.containers\[0\]\.securityContext\.privileged: must be false$/,
      ],
    ],
    [
      "a workload: the field as it stands in it",
      [{
        apiVersion: "batch/v1",
        kind: "CronJob",
        metadata: { name: "nightly", namespace: "trial" },
        spec: { jobTemplate: { spec: { template: { spec: hostile({ allowPrivilegeEscalation: true }) } } } },
      }],
      [/^CronJob\/nightly: spec\.jobTemplate\.spec\.template\.spec\.containers\[0\]\.securityContext\.allowPrivilegeEscalation: must be false$/],
    ],
    ["an item of a list", [{
      apiVersion: "v1",
      kind: "List",
      items: [pod("evil", { spec: hostile({ runAsNonRoot: false }) })],
    }], [
      /^Pod\/evil: spec\.containers\[0\]\.securityContext\.runAsNonRoot: must be true$/,
    ]],
    ["a name that the API server makes", [{
      ...pod(),
      metadata: { generateName: "gen-" },
      spec: hostile({ privileged: true }),
    }], [
      /^Pod\/gen-: /,
    ]],
    ["a field of the wrong type", [pod("odd", { spec: { containers: "none" } as unknown as PodSpec })], [
      /^Pod\/odd: spec\.containers must be a list$/,
    ]],
    ["no spec, in a template", [{
      apiVersion: "apps/v1",
      kind: "Deployment",
      metadata: { name: "d" },
      spec: { template: {} },
    }], [
      /^Deployment\/d: spec\.template\.spec is missing$/,
    ]],
    ["a name that would break the line", [pod("a\nb\u001b[2J", { spec: hostile({ privileged: true }) })], [
      /^Pod\/a\?b\?\[2J: spec\.containers\[0\]\.securityContext\.privileged: must be false$/,
    ]],
  ];
  for (const [name, objects, expected] of table) {
    await t.step(name, async () => {
      const { code, stdout, stderr } = await inject(stream(...objects));
      const lines = stderr.split("\n").slice(0, -1);
      assert.deepEqual([code, stdout, lines.length], [1, "", expected.length], stderr);
      lines.forEach((line, i) => assert.match(line, expected[i]!));
    });
  }
});

Deno.test("inject says which resolvers it takes where none are given", async () => {
  const { code, stdout, stderr } = await inject(stream(namespace(), pod()), []);
  assert.equal(code, 0);
  assert.equal(stderr, "Note: --resolvers is missing; 10.96.0.10 stands for the cluster's DNS\n");
  assert.deepEqual(documents(stdout)[1], admitted(pod()));
  const given = await runVerb(runInject, ["-f", "-"], {
    files: { "-": stream(pod()) },
    env: { RESOLVERS: "10.0.0.1" },
  });
  assert.equal(given.stderr, "");
  assert.match(given.stdout, /resolvers=10\.0\.0\.1$/m);
});

Deno.test("inject refuses wrong usage with code 2 and prints nothing", async (t) => {
  const table: [name: string, args: string[], message: RegExp][] = [
    ["no file", [], /^Cannot inject: -f FILE is missing; - reads standard input\n$/],
    ["a file that is not there", ["-f", "gone.yaml"], /^Cannot read "gone\.yaml": No such file\n$/],
    ["a file that is no YAML", ["-f", "bad.yaml"], /^Cannot read "bad\.yaml": document 2: /],
    [
      "an unknown flag",
      ["-f", "-", "--what"],
      /^Cannot read the command line: Unknown option '--what'; --help lists the flags\n$/,
    ],
    ["a stray argument", ["a.yaml"], /^Cannot read the command line: Unexpected argument 'a\.yaml'; /],
    ["a setting that is wrong", ["-f", "-", "--resolvers=dns"], /^Cannot use --resolvers "dns": must be IPv4 or IPv6/],
    [
      "a consumer that is no cluster id",
      ["-f", "-", "--consumer=a b"],
      /^Cannot use --consumer "a b": must be a cluster id/,
    ],
    [
      "a label that is no text",
      ["-f", "label.yaml"],
      /^Cannot use Namespace "trial": its label data-space\/apply-webhook must be text, so put "false" in quotes\n$/,
    ],
  ];
  const label = "apiVersion: v1\nkind: Namespace\nmetadata: {name: trial, labels: {data-space/apply-webhook: false}}\n";
  const files = { "-": stream(pod()), "bad.yaml": "a: 1\n---\na: b: c\n", "label.yaml": label };
  for (const [name, args, message] of table) {
    await t.step(name, async () => {
      const { code, stdout, stderr } = await runVerb(runInject, args, { files });
      assert.deepEqual([code, stdout], [2, ""]);
      assert.match(stderr, message);
    });
  }
});

Deno.test("inject and render let no name of a stream speak to the terminal or begin a line", async (t) => {
  const labelled = (labels: object) =>
    JSON.stringify({ apiVersion: "v1", kind: "Namespace", metadata: { name: "n\u001b[2J\u009b\u202e\nok", labels } });
  const offloaded = { "liqo.io/remote-cluster-id": "x", "data-space/apply-netpol": "\u001b]0;x\u0007" };
  for (const [verb, run] of [["inject", runInject], ["render", runRender]] as const) {
    for (const [name, labels, lines] of [["a warning", offloaded, 2], ["wrong usage", { a: 1 }, 1]] as const) {
      await t.step(`${verb}: ${name}`, async () => {
        const text = labelled(labels) + JSON.stringify(pod());
        const { stderr } = await runVerb(run, ["-f", "-"], { files: { "-": text } });
        assert.match(stderr, /n\?\[2J\?\?\?ok/);
        assert.doesNotMatch(stderr.replaceAll("\n", ""), /[\p{Cc}\p{Cf}]/u);
        assert.equal(stderr.split("\n").length - 1, lines, stderr);
      });
    }
  }
});

Deno.test("inject says that it cannot read documents that are nested too deeply", async (t) => {
  const around = (open: string, inner: string, close: string) => open.repeat(20_000) + inner + close.repeat(20_000);
  const table = {
    "lists": `{"apiVersion":"v1","kind":"Pod","spec":{"containers":[],"x":${around("[", "", "]")}}}`,
    "lists of objects": around('{"apiVersion":"v1","kind":"List","items":[', "", "]}"),
    "YAML": `a: ${around("[", "", "]")}`,
  };
  for (const [name, text] of Object.entries(table)) {
    await t.step(name, async () => {
      const { code, stdout, stderr } = await runVerb(runInject, ["-f", "-"], { files: { "-": text } });
      assert.deepEqual([code, stdout], [2, ""]);
      assert.match(stderr, /^Cannot read "-": /);
    });
  }
});
