import assert from "node:assert/strict";
import type { Pod } from "kubernetes-types/core/v1.d.ts";
import { parse, stringify } from "yaml";
import type { Profile } from "../../lib/core/namespace_policy.ts";
import { redirectScript } from "../../lib/core/redirect_script.ts";
import { injected, liqoPod, patch } from "../support/pods.ts";
import { testPolicy } from "../support/policy.ts";
import { filesOf, readFile, ROOT } from "../support/tree.ts";

const FOLDER = "tests/testdata/pods";

/** With UPDATE_GOLDENS=1 the expected files are written, not compared. */
const UPDATE = Deno.env.get("UPDATE_GOLDENS") === "1";

const inputs = (await filesOf(FOLDER)).filter((file) => /\/\w+\.yaml$/.test(file));
const used = new Set(inputs);

/** The script would fill the files, and has tests of its own. */
function readable(pod: Pod): string {
  return stringify(pod, (_, value) => value === redirectScript ? "(redirect.sh)" : value, { lineWidth: 120 });
}

async function compare(file: string, text: string): Promise<void> {
  used.add(file);
  if (UPDATE) await Deno.writeTextFile(ROOT + file, text);
  assert.equal(text, await readFile(file), `${file} differs; if that is right, run with UPDATE_GOLDENS=1`);
}

async function check(name: string, pod: Pod, profile: Profile): Promise<void> {
  const policy = testPolicy({ profile });
  const result = patch(pod, policy);
  if (result.kind === "refused") {
    const lines = result.violations.map(({ rule, field, message }) => `${field}: ${message} (${rule})\n`);
    await compare(`${FOLDER}/${name}.refused.txt`, lines.join(""));
    return;
  }
  await compare(`${FOLDER}/${name}.expected.yaml`, readable(result.pod));
  assert.deepEqual(injected(result.pod, policy), result.pod);
  const again = patch(result.pod, policy);
  assert.deepEqual(again.kind === "patched" && again.ops, []);
}

Deno.test("patchPod() makes of each pod what lies beside it, and nothing more the second time", async (t) => {
  await t.step("Liqo's pod", async () => await check("liqo", await liqoPod(), "restricted"));
  for (const file of inputs) {
    await t.step(file, async () => {
      const text = await readFile(file);
      const profile = (/^# profile: (\w+)$/m.exec(text)?.[1] ?? "restricted") as Profile;
      await check(file.slice(FOLDER.length + 1, -".yaml".length), parse(text), profile);
    });
  }
});

Deno.test("no file of the goldens is left over", async () => {
  assert.deepEqual((await filesOf(FOLDER)).filter((file) => !used.has(file)), []);
});
