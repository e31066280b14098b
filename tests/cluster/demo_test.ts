import assert from "node:assert/strict";
import { ROOT } from "../support/tree.ts";

Deno.test("the demo holds all of its expectations, and ends with 0", async () => {
  const { code, stdout, stderr } = await new Deno.Command(Deno.execPath(), {
    args: ["task", "--quiet", "demo"],
    cwd: ROOT,
    stdout: "piped",
    stderr: "piped",
  }).output();
  const text = new TextDecoder().decode(stdout);
  assert.equal(code, 0, text + new TextDecoder().decode(stderr));
  assert.match(text, /^All (\d+) expectations held\.$/m);
  const steps = [...text.matchAll(/^ *(\d+)\/(\d+) /gm)];
  assert.equal(steps.length, Number(steps[0]![2]), "the demo has another number of steps than it says");
  assert.ok(text.split("\n").every((line) => line.length <= 100), "a line is wider than 100 columns");
});
