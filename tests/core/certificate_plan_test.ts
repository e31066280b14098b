import assert from "node:assert/strict";
import {
  type AuthorityFacts,
  BACKDATE_MS,
  type CertificateFacts,
  type CertificateStep,
  MAX_PREVIOUS,
  planCertificates,
} from "../../lib/core/certificate_plan.ts";

const MINUTE = 60_000;
const HOUR = 60 * MINUTE;
const DAY = 24 * HOUR;
const now = Date.UTC(2026, 0, 1);
const timings = { authorityMs: 3_650 * DAY, leafMs: 30 * DAY, settleMs: MINUTE };

/** An authority that was made this long ago. */
function authority(id: string, agoMs = DAY, lifeMs = timings.authorityMs): AuthorityFacts {
  return { id, notBefore: now - agoMs - BACKDATE_MS, notAfter: now - agoMs + lifeMs };
}

const a = authority("a", 100 * DAY);
const old = authority("old", 2_500 * DAY);
const b = authority("b", HOUR);
const c = authority("c", 2 * HOUR);
const lapsed = authority("lapsed", 4_000 * DAY);
const early = { ...authority("early"), notBefore: now + HOUR };

function leafOf(issuer: AuthorityFacts, agoMs = DAY) {
  return { issuer, notBefore: now - agoMs - BACKDATE_MS, notAfter: now - agoMs + timings.leafMs };
}
function trust(authorities: AuthorityFacts[], sinceMs = HOUR, surplusMs?: number): CertificateFacts["bundle"] {
  return { trusted: authorities.map((authority) => ({ ...authority, sinceMs })), surplusMs };
}
function secret(parts: Partial<NonNullable<CertificateFacts["secret"]>>): CertificateFacts["secret"] {
  return { current: undefined, next: undefined, previous: [], previousUntil: undefined, ...parts };
}
const issue = (signer: AuthorityFacts): CertificateStep => ({ do: "issue", signer: signer.id });
const trustStep = (...ids: AuthorityFacts[]): CertificateStep => ({ do: "trust", ids: ids.map(({ id }) => id) });
const kept = now + timings.leafMs + BACKDATE_MS;
const later = now + DAY;

const quiet: Partial<CertificateFacts> = { secret: secret({ current: a }), bundle: trust([a]), leaf: leafOf(a) };
const changing = secret({ current: old, next: b });
const changed = secret({ current: b, previous: [old], previousUntil: later });
const remade = secret({ next: b, previous: [a], previousUntil: later });

const table: { name: string; facts: Partial<CertificateFacts>; steps: CertificateStep[] }[] = [
  { name: "all is well: nothing", facts: quiet, steps: [] },
  {
    name: "nothing is there: a Secret with a first authority",
    facts: { bundle: trust([]) },
    steps: [store({ because: "absent", current: "new" })],
  },
  {
    name: "a first authority is there: a leaf of it, and trust in it",
    facts: { secret: secret({ current: a }), bundle: trust([]) },
    steps: [issue(a), trustStep(a)],
  },
  {
    name: "there is no webhook configuration yet: a leaf nevertheless",
    facts: { secret: secret({ current: a }) },
    steps: [issue(a)],
  },
  {
    name: "a replica starts beside others: a leaf of its own",
    facts: { ...quiet, leaf: undefined },
    steps: [issue(a)],
  },

  // Leaves
  { name: "a leaf is past two thirds", facts: { ...quiet, leaf: leafOf(a, 20 * DAY + 1) }, steps: [issue(a)] },
  { name: "a leaf is before two thirds", facts: { ...quiet, leaf: leafOf(a, 20 * DAY - 1) }, steps: [] },
  { name: "the clock jumped past a leaf", facts: { ...quiet, leaf: leafOf(a, 31 * DAY) }, steps: [issue(a)] },
  { name: "the clock jumped back before a leaf", facts: { ...quiet, leaf: leafOf(a, -2 * HOUR) }, steps: [issue(a)] },
  { name: "the clock jumped back a little", facts: { ...quiet, leaf: leafOf(a, -20 * MINUTE) }, steps: [] },
  {
    name: "the clock jumped back so far that one a bit behind would find the leaf too young",
    facts: { ...quiet, leaf: leafOf(a, -40 * MINUTE) },
    steps: [issue(a)],
  },
  {
    name: "a leaf is old, and a new one would end with its authority just the same",
    facts: {
      secret: secret({ current: authority("x", DAY, 2 * DAY), next: b }),
      bundle: trust([b, authority("x", DAY, 2 * DAY)], 0),
      leaf: { ...leafOf(authority("x", DAY, 2 * DAY), 100 * DAY), notAfter: now + DAY },
    },
    steps: [],
  },

  // Change of authority
  {
    name: "an authority is past two thirds: a next one beside it",
    facts: { secret: secret({ current: old }), bundle: trust([old]), leaf: leafOf(old) },
    steps: [store({ because: "renewal", current: { id: "old" }, next: "new" })],
  },
  {
    name: "a next one is there: trusted beside the old one, which goes on signing",
    facts: { secret: changing, bundle: trust([old]), leaf: undefined },
    steps: [issue(old), trustStep(old, b)],
  },
  {
    name: "a next one is not trusted for long",
    facts: { secret: changing, bundle: trust([old, b], MINUTE - 1), leaf: leafOf(old) },
    steps: [],
  },
  {
    name: "a next one is trusted for long: it is made current, the old one stays trusted without its key",
    facts: { secret: changing, bundle: trust([old, b], MINUTE), leaf: leafOf(old) },
    steps: [store({ because: "promotion", current: { id: "b" }, previous: ["old"], previousUntil: kept })],
  },
  {
    name: "a next one is trusted for long, but not by all API servers' configuration any more",
    facts: { secret: changing, bundle: trust([old], HOUR), leaf: leafOf(old) },
    steps: [trustStep(old, b)],
  },
  {
    name: "a next one is current: a leaf of it",
    facts: { secret: changed, bundle: trust([b, old]), leaf: leafOf(old) },
    steps: [issue(b)],
  },
  {
    name: "a next one is current, a leaf of it in use",
    facts: { secret: changed, bundle: trust([b, old]), leaf: leafOf(b) },
    steps: [],
  },
  {
    name: "a former one's time is over: it is dropped from the Secret",
    facts: { secret: { ...changed!, previousUntil: now }, bundle: trust([b, old]), leaf: leafOf(b) },
    steps: [store({ because: "retirement", current: { id: "b" } })],
  },
  {
    name: "a former one's time is over, but our leaf is of it: first another leaf",
    facts: { secret: { ...changed!, previousUntil: now }, bundle: trust([b, old]), leaf: leafOf(old) },
    steps: [issue(b)],
  },
  {
    name: "a former one's time is lost: it begins anew",
    facts: { secret: { ...changed!, previousUntil: undefined }, bundle: trust([b, old]), leaf: leafOf(b) },
    steps: [store({ because: "retirement", current: { id: "b" }, previous: ["old"], previousUntil: kept })],
  },
  {
    name: "a former one's time is by a clock of another age",
    facts: { secret: { ...changed!, previousUntil: now + 1_000 * DAY }, bundle: trust([b, old]), leaf: leafOf(b) },
    steps: [store({ because: "retirement", current: { id: "b" }, previous: ["old"], previousUntil: kept })],
  },
  {
    name: "a dropped one is still trusted: for now",
    facts: { ...quiet, bundle: trust([a, old], HOUR, 3 * MINUTE - 1) },
    steps: [],
  },
  {
    name: "a dropped one was trusted long enough",
    facts: { ...quiet, bundle: trust([a, old], HOUR, 3 * MINUTE) },
    steps: [trustStep(a)],
  },

  // Clocks and authorities
  {
    name: "the clock jumped past the authority: a next one, a leaf of it at once when it is there",
    facts: { secret: secret({ current: lapsed }), bundle: trust([lapsed]), leaf: leafOf(lapsed, 4_000 * DAY) },
    steps: [store({ because: "renewal", current: { id: "lapsed" }, next: "new" })],
  },
  {
    name: "the same, and it is there",
    facts: { secret: secret({ current: lapsed, next: b }), bundle: trust([lapsed]), leaf: leafOf(lapsed, 4_000 * DAY) },
    steps: [issue(b), trustStep(lapsed, b)],
  },
  {
    name: "the clock jumped back before the authority",
    facts: { secret: secret({ current: early }), bundle: trust([early]), leaf: leafOf(early, -2 * HOUR) },
    steps: [store({ because: "renewal", current: { id: "early" }, next: "new" })],
  },
  {
    name: "the clock jumped back before the next one: another, but others may use the first",
    facts: { secret: secret({ current: old, next: early }), bundle: trust([old, early]), leaf: leafOf(old) },
    steps: [
      store({ because: "renewal", current: { id: "old" }, next: "new", previous: ["early"], previousUntil: kept }),
    ],
  },

  // The Secret deleted or corrupt
  {
    name: "the Secret was deleted in service: the new authority has to wait, the former stays trusted",
    facts: { ...quiet, secret: undefined },
    steps: [store({ because: "absent", next: "new", previous: ["a"], previousUntil: kept })],
  },
  {
    name: "the Secret was deleted while nobody served: trust in what may be in service stays",
    facts: { bundle: trust([a, lapsed]) },
    steps: [store({ because: "absent", next: "new", previous: ["a"], previousUntil: kept })],
  },
  {
    name: "the Secret is corrupt: the same, with what can be read of it",
    facts: { ...quiet, secret: secret({ previous: [old] }) },
    steps: [store({ because: "corrupt", next: "new", previous: ["a", "old"], previousUntil: kept })],
  },
  { name: "a new authority after that: trusted first", facts: { ...quiet, secret: remade }, steps: [trustStep(b, a)] },
  {
    name: "then the old leaf serves on",
    facts: { secret: remade, bundle: trust([b, a], MINUTE - 1), leaf: leafOf(a) },
    steps: [],
  },
  {
    name: "a replica that starts then has no other",
    facts: { secret: remade, bundle: trust([b, a], 0) },
    steps: [issue(b)],
  },
  {
    name: "then it has settled: it is made current, and signs",
    facts: { secret: remade, bundle: trust([b, a], MINUTE), leaf: leafOf(a) },
    steps: [issue(b), store({ because: "promotion", current: { id: "b" }, previous: ["a"], previousUntil: kept })],
  },
  {
    name: "our leaf's authority is known to nobody any more: another leaf at once",
    facts: { secret: secret({ next: b }), bundle: trust([b], 0), leaf: leafOf(a) },
    steps: [issue(b)],
  },
  {
    name: "only the current authority is corrupt: the next one takes its place as in every change",
    facts: { secret: secret({ next: b }), bundle: trust([old, b], 0, 0), leaf: leafOf(old) },
    steps: [],
  },

  // The caBundle
  {
    name: "the caBundle was emptied: put right at once",
    facts: { ...quiet, bundle: trust([]) },
    steps: [trustStep(a)],
  },
  {
    name: "the caBundle lacks one: what another replica may have added stays for now",
    facts: { ...quiet, bundle: trust([c], 0, 0) },
    steps: [trustStep(a, c)],
  },
];

function store(parts: Partial<CertificateStep & { do: "store" }>): CertificateStep {
  return {
    do: "store",
    because: "absent",
    current: undefined,
    next: undefined,
    previous: [],
    previousUntil: undefined,
    ...parts,
  };
}

Deno.test("planCertificates() does what is due, and nothing else", async (t) => {
  for (const { name, facts, steps } of table) {
    await t.step(name, () => {
      const plan = planCertificates(
        { nowMs: now, secret: undefined, bundle: undefined, leaf: undefined, ...facts },
        timings,
      );
      assert.deepEqual(plan.steps, steps);
    });
  }
});

Deno.test("planCertificates() looks again when something is due, and every minute", async (t) => {
  const waits: { name: string; facts: Partial<CertificateFacts>; waitMs: number }[] = [
    { name: "nothing soon", facts: quiet, waitMs: MINUTE },
    { name: "a leaf to renew", facts: { ...quiet, leaf: leafOf(a, 20 * DAY - 5_000) }, waitMs: 5_000 },
    { name: "very soon", facts: { ...quiet, leaf: leafOf(a, 20 * DAY - 1) }, waitMs: 100 },
    {
      name: "an authority to renew",
      facts: { ...quiet, secret: secret({ current: authority("a", timings.authorityMs * 2 / 3 - 7_000) }) },
      waitMs: 7_000,
    },
    {
      name: "trust that settles",
      facts: { secret: changing, bundle: trust([old, b], 51_000), leaf: leafOf(old) },
      waitMs: 9_000,
    },
    { name: "surplus to remove", facts: { ...quiet, bundle: trust([a], HOUR, 3 * MINUTE - 3_000) }, waitMs: 3_000 },
    {
      name: "a former authority to drop",
      facts: { secret: { ...changed!, previousUntil: now + 2_000 }, bundle: trust([b, old]), leaf: leafOf(b) },
      waitMs: 2_000,
    },
  ];
  for (const { name, facts, waitMs } of waits) {
    await t.step(name, () => {
      const plan = planCertificates(
        { nowMs: now, secret: undefined, bundle: undefined, leaf: undefined, ...facts },
        timings,
      );
      assert.deepEqual(plan, { steps: [], waitMs });
    });
  }
});

Deno.test("planCertificates() keeps no more former authorities than needed: its leaf's, and the newest", () => {
  const many = Array.from({ length: 19 }, (_, i) => authority(`p${i}`, (i + 1) * DAY));
  const facts = { nowMs: now, secret: secret({ previous: many }), bundle: undefined, leaf: leafOf(many[15]!) };
  const [step] = planCertificates(facts, timings).steps;
  assert.deepEqual(step?.do === "store" && step.previous, ["p15", "p0", "p1", "p2", "p3", "p4", "p5", "p6"]);
  assert.equal(MAX_PREVIOUS, 8);
});
