import assert from "node:assert/strict";
import { deriveGoMod } from "./go_mod.ts";
import { olderThan } from "./toolchain.ts";
import { chosenRelease, RELEASES } from "./versions.ts";

const UPSTREAM = `// Generated.

module k8s.io/kubernetes

go 1.26.0

godebug default=go1.26

require (
	github.com/spf13/cobra v1.10.2
	k8s.io/api v0.0.0
	k8s.io/klog/v2 v2.140.0
	k8s.io/utils v0.0.0-20260210185600-b8788abfbbc2 // indirect
	k8s.io/kms v0.0.0 // indirect
)

replace (
	k8s.io/api => ./staging/src/k8s.io/api
	k8s.io/kms => ./staging/src/k8s.io/kms
)
`;

Deno.test("deriveGoMod() maps the staging modules to their published versions and leaves all other lines", () => {
  assert.equal(
    deriveGoMod(UPSTREAM, "v1.36.3"),
    `// Generated.

module kc

go 1.26.0

godebug default=go1.26

require (
	github.com/spf13/cobra v1.10.2
	k8s.io/api v0.36.3
	k8s.io/klog/v2 v2.140.0
	k8s.io/utils v0.0.0-20260210185600-b8788abfbbc2 // indirect
	k8s.io/kms v0.36.3 // indirect
)

require k8s.io/kubernetes v1.36.3

replace (
	k8s.io/api => k8s.io/api v0.36.3
	k8s.io/kms => k8s.io/kms v0.36.3
)
`,
  );
});

Deno.test("deriveGoMod() refuses a file of another shape", () => {
  assert.throws(
    () => deriveGoMod("module k8s.io/kubernetes\n", "v9.9.9"),
    /^SyntaxError: Cannot build Kubernetes v9\.9\.9: /,
  );
});

Deno.test("olderThan() compares by number", () => {
  assert.equal(olderThan("1.9.9", "1.26.0"), true);
  assert.equal(olderThan("1.26", "1.26.0"), false);
  assert.equal(olderThan("1.26.8", "1.26.0"), false);
  assert.equal(olderThan("1.27rc1", "1.26.8"), false);
});

Deno.test("chosenRelease() takes a name or a version and refuses all else", () => {
  assert.equal(chosenRelease(""), RELEASES.default);
  assert.equal(chosenRelease("oldest"), RELEASES.oldest);
  assert.equal(chosenRelease("v1.35.4"), "v1.35.4");
  assert.throws(() => chosenRelease("1.35"), /^RangeError: .*DATA_SPACER_TEST_KUBERNETES is "1\.35"/);
});
