import assert from "node:assert/strict";
import { CALICO, CALICO_API, deriveCalicoGoMod } from "./calico_module.ts";

const UPSTREAM = `module github.com/projectcalico/calico

go 1.23

require (
	github.com/projectcalico/api v0.0.0-00010101000000-000000000000
	k8s.io/api v0.29.15
)

replace (
	github.com/projectcalico/api => ./api
	k8s.io/api => k8s.io/api v0.29.15
)
`;

Deno.test("deriveCalicoGoMod() takes the published definitions and leaves all other lines", () => {
  assert.equal(
    deriveCalicoGoMod(UPSTREAM),
    `module calico

go 1.23

require (
	github.com/projectcalico/api v0.0.0-00010101000000-000000000000
	k8s.io/api v0.29.15
)

replace (
	github.com/projectcalico/api => github.com/projectcalico/api ${CALICO_API}
	k8s.io/api => k8s.io/api v0.29.15
)

require github.com/projectcalico/calico ${CALICO}
`,
  );
});

Deno.test("deriveCalicoGoMod() refuses a file that replaces other folders", () => {
  assert.throws(
    () => deriveCalicoGoMod(`${UPSTREAM}\nreplace github.com/projectcalico/felix => ./felix\n`),
    /^SyntaxError: Cannot build Calico: its go\.mod replaces a module by \.\/felix$/,
  );
});
