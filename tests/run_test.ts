import assert from "node:assert/strict";
import { countReport, summary } from "./run.ts";

Deno.test("countReport() counts tests and steps that passed, failed and were skipped", () => {
  const counts = countReport(`<?xml version="1.0" encoding="UTF-8"?>
<testsuites name="deno test" tests="4" failures="1" errors="0" time="0.009">
    <testsuite name="./a_test.ts" tests="4" disabled="1" errors="0" failures="1">
        <testcase name="a() works" classname="./a_test.ts" time="0.001" line="1" col="6">
        </testcase>
        <testcase name="a() works &gt; step" classname="./a_test.ts" time="0.001" line="1" col="6">
        </testcase>
        <testcase name="bad &lt;x&gt; &amp; &quot;y&quot;" classname="./a_test.ts" time="0.000" line="2" col="6">
            <failure message="Uncaught Error: no">Error: &lt;skipped/&gt;</failure>
        </testcase>
        <testcase name="later" classname="./a_test.ts" time="0.000" line="4" col="6">
            <skipped/>
        </testcase>
    </testsuite>
</testsuites>`);
  assert.deepEqual(counts, { passed: 2, failed: ['./a_test.ts bad <x> & "y"'], skipped: ["./a_test.ts later"] });
});

Deno.test("summary() names skipped tests only where there are any", () => {
  assert.equal(summary({ passed: 3, failed: [], skipped: [] }), "3 passed, 0 failed");
  assert.equal(summary({ passed: 3, failed: ["a"], skipped: ["b", "c"] }), "3 passed, 1 failed, 2 skipped");
});
