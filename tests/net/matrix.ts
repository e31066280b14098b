import assert from "node:assert/strict";
import { type Attack, attacks, type Family, type Outcome } from "./attacks.ts";
import { type Backend, World } from "./pods.ts";
import { missing } from "./tools.ts";

const FAMILIES = [0, 1] as const;

/** Name of a test step: the row first, as in the matrix. */
function title({ row, name }: Attack, family: Family): string {
  return `row ${row}, IPv${family === 0 ? 4 : 6}: ${name}`;
}

async function each(
  t: Deno.TestContext,
  judge: (attack: Attack, family: Family) => Promise<Outcome | { impossible: string }>,
  which: "expected" | "bare",
) {
  for (const attack of [...attacks].sort((x, y) => x.row - y.row)) {
    for (const family of attack.families ?? FAMILIES) {
      await t.step(title(attack, family), async () => {
        const outcome = await judge(attack, family);
        if (typeof outcome === "string") assert.equal(outcome, attack[which]);
        else Deno.stderr.writeSync(new TextEncoder().encode(`not possible in this kernel (${outcome.impossible}): `));
      });
    }
  }
}

/** Registers the rows of the bypass matrix: with the rules, and, as a control, without any. */
export function bypassMatrix(backend: Backend): void {
  Deno.test({ name: `the bypass matrix holds (${backend})`, ignore: missing !== undefined }, async (t) => {
    await using world = await World.create(backend);
    await each(t, (attack, family) => attack.attempt(world, family), "expected");
  });

  Deno.test(
    { name: `control: without rules every attempt succeeds (${backend})`, ignore: missing !== undefined },
    async (t) => {
      await using world = await World.create(backend, { bare: true });
      await world.a.startProxy();
      await each(t, (attack, family) => attack.attempt(world, family), "bare");
    },
  );
}
