import assert from "node:assert/strict";
import config from "../../deno.json" with { type: "json" };
import { deno, ROOT } from "../support/tree.ts";

/** Runs the program as a user does. */
function main(args: string[], env: Record<string, string> = {}): ReturnType<typeof deno> {
  return deno(["run", "--quiet", "--no-prompt", "--allow-read", "--allow-env", "--allow-net", "main.ts", ...args], env);
}

Deno.test("data-spacer version prints the version", async () => {
  assert.deepEqual(await main(["version"]), { code: 0, stdout: `${config.version}\n`, stderr: "" });
});

Deno.test("data-spacer --help lists verbs and flags", async () => {
  const [short, long, word] = await Promise.all([main(["-h"]), main(["--help"]), main(["help"])]);
  assert.deepEqual([short.code, short.stderr], [0, ""]);
  for (const verb of ["serve", "inject", "render", "check", "version"]) {
    assert.match(short.stdout, new RegExp(`^  ${verb}$`, "m"));
  }
  assert.match(short.stdout, /^ {2}--proxy-image IMAGE {2}\(PROXY_IMAGE, default /m);
  assert.deepEqual([long, word], [short, short]);
});

Deno.test("data-spacer VERB --help describes each verb", async (t) => {
  for (const verb of ["serve", "inject", "render", "check"]) {
    await t.step(verb, async () => {
      const { code, stdout, stderr } = await main([verb, "--help"]);
      assert.deepEqual([code, stderr], [0, ""]);
      assert.match(stdout, new RegExp(`^Usage: data-spacer .*${verb}.*\\[FLAGS\\]`));
    });
  }
  await t.step("version", async () => {
    assert.deepEqual(await main(["version", "--help"]), {
      code: 0,
      stdout: "Usage: data-spacer version\n",
      stderr: "",
    });
  });
});

Deno.test("data-spacer ends with 2 on wrong usage and says on stderr what is wrong", async (t) => {
  const table: [name: string, args: string[], env: Record<string, string>, message: RegExp][] = [
    ["an unknown verb", ["run"], {}, /^Cannot run "run": must be one of serve, inject, render, check, version\n$/],
    ["a verb that every object has", ["constructor"], {}, /^Cannot run "constructor"/],
    ["serve, which is the default", ["--webhook-port=x"], {}, /^Cannot use --webhook-port "x": must be a whole number/],
    ["a variable", ["serve"], { WORKERS: "many" }, /^Cannot use WORKERS "many": must be a whole number/],
    ["inject without file", ["inject"], {}, /^Cannot inject: -f FILE is missing/],
    ["a file that is not there", ["render", "-f", "gone.yaml"], {}, /^Cannot read "gone\.yaml": No such file/],
    ["version with more", ["version", "now"], {}, /^Cannot run "version now": it takes no arguments\n$/],
    [
      "check without credentials",
      ["check", "--kubeconfig=gone"],
      {},
      /^Cannot find credentials for the API server: kubeconfig "gone": /,
    ],
  ];
  for (const [name, args, env, message] of table) {
    await t.step(name, async () => {
      const { code, stdout, stderr } = await main(args, env);
      assert.deepEqual([code, stdout], [2, ""], stderr);
      assert.match(stderr, message);
    });
  }
});

Deno.test("data-spacer inject reads standard input and writes what fits no pipe at once", async () => {
  const pods = 400;
  const pod = (i: number) =>
    JSON.stringify({
      apiVersion: "v1",
      kind: "Pod",
      metadata: { name: `p${i}` },
      spec: { containers: [{ name: "a", image: "b" }] },
    });
  const child = new Deno.Command(Deno.execPath(), {
    args: [
      "run",
      "--quiet",
      "--no-prompt",
      "--allow-read",
      "--allow-env",
      "main.ts",
      "inject",
      "-f",
      "-",
      "--resolvers=10.96.0.10",
    ],
    cwd: ROOT,
    stdin: "piped",
    stdout: "piped",
    stderr: "piped",
  }).spawn();
  const input = new Blob(Array.from({ length: pods }, (_, i) => pod(i)));
  const [{ code, stdout, stderr }] = await Promise.all([child.output(), input.stream().pipeTo(child.stdin)]);
  const text = new TextDecoder().decode(stdout);
  assert.deepEqual([code, new TextDecoder().decode(stderr)], [0, ""]);
  assert.ok(text.length > 1_000_000);
  assert.equal(text.match(/"name": "data-space-proxy"/g)?.length, pods);
});

Deno.test("data-spacer whose reader has gone ends in silence", async () => {
  const shell =
    `"${Deno.execPath()}" run --quiet --no-prompt --allow-read --allow-env main.ts --help | head -c 1; exit "\${PIPESTATUS[0]}"`;
  const { code, stdout, stderr } = await new Deno.Command("bash", { args: ["-c", shell], cwd: ROOT }).output();
  const text = new TextDecoder();
  assert.equal(text.decode(stdout), "U");
  assert.equal(text.decode(stderr), "");
  assert.ok(code === 0 || code === 1, `${code}`);
});
