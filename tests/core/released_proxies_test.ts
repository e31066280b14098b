import assert from "node:assert/strict";
import { objectTemplates } from "../../lib/core/desired_state.ts";
import { renderEnvoyConfig } from "../../lib/core/envoy_config.ts";
import { testSettings } from "../support/settings.ts";

/**
 * What the proxies of each release open, from their command line and mounts: they go on after an upgrade, and restart with the files that the
 * new version writes. Add a row with each release; never change one while pods of that release may run.
 */
const released = [
  {
    version: "0.1.0",
    configMap: "data-space-envoy-config",
    files: ["envoy.yaml", "lds.json", "cds.json"],
    // What the admin interface answers, which only a restart changes.
    adminPaths: /^(\/ready|\/stats\/prometheus(\?.*)?)$/,
  },
];

Deno.test("sidecars of every release find their files in what this version writes, and can restart", async (t) => {
  const settings = testSettings();
  const files = renderEnvoyConfig();
  const { head } = objectTemplates(settings).ConfigMap;
  for (const release of released) {
    await t.step(release.version, () => {
      assert.ok(head.includes(`"name":"${release.configMap}"`), "the ConfigMap has another name");
      for (const file of release.files) assert.ok(files[file], `${file} is gone`);
      for (const file of ["lds.json", "cds.json"]) {
        assert.ok(files["envoy.yaml"]!.includes(`/etc/data-space/${file}`), `${file} is read from elsewhere`);
      }
      const asked = [...files["lds.json"]!.matchAll(/ask\(handle, \\"([^"]*)\\"\)/g)].map(([, path]) => path!);
      assert.equal(asked.length, 2);
      for (const path of asked) assert.match(path, release.adminPaths);
    });
  }
});
