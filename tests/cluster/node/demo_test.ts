import assert from "node:assert/strict";
import { ROOT } from "../../support/tree.ts";
import { exists } from "../cache.ts";
import { missing } from "./packages.ts";

async function demo(...args: string[]): Promise<{ code: number; stdout: string; stderr: string }> {
  const { code, stdout, stderr } = await new Deno.Command(Deno.execPath(), {
    args: ["task", "--quiet", "demo", "--on=node", ...args],
    cwd: ROOT,
  }).output();
  const decoder = new TextDecoder();
  return { code, stdout: decoder.decode(stdout), stderr: decoder.decode(stderr) };
}

Deno.test({
  name: "the demo holds all of its expectations on a real node, keeps it when asked to, and removes it",
  ignore: missing !== undefined,
}, async (t) => {
  const { code, stdout: text, stderr } = await demo("--keep");
  const kubeconfig = /^ *export KUBECONFIG=(\S+)\n *export PATH=([^:]+):/m.exec(text);
  try {
    await t.step("it ends with 0, and has told as many steps as it says, within 100 columns", () => {
      assert.equal(code, 0, text + stderr);
      const [, held] = /^All (\d+) expectations held, in \d+ s\.$/m.exec(text) ?? [];
      const steps = [...text.matchAll(/^ *(\d+)\/(\d+) /gm)];
      assert.deepEqual([held, steps[0]?.[2]], [`${steps.length}`, `${steps.length}`], text);
      const wide = text.split("\n").filter((line) => line.length > 100 && !line.startsWith("  export "));
      assert.deepEqual(wide, []);
      assert.ok(!text.includes("\x1b"), "colours, although this is no terminal");
    });
    await t.step("what is kept runs on: the proxy's log has what pharma did", async () => {
      const [, file, path] = kubeconfig ?? [];
      const args = ["-n", "pharma-space-pharma", "logs", "pharma-app", "-c", "data-space-proxy", "--kubeconfig", file!];
      const { stdout } = await new Deno.Command(`${path}/kubectl`, { args }).output();
      assert.match(new TextDecoder().decode(stdout), /"consumer":"pharma".*"path":"\/patients\/3".*"status":200/);
    });
  } finally {
    const cleaned = await demo("--clean");
    assert.equal(cleaned.code, 0, cleaned.stdout + cleaned.stderr);
  }
  assert.equal(await exists(kubeconfig![1]!), false);
});
