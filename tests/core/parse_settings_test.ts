import assert from "node:assert/strict";
import { options } from "../../lib/core/options.ts";
import { parseSettings } from "../../lib/core/parse_settings.ts";
import type { Settings } from "../../lib/core/settings.ts";

/** Settings with one of them given as text. */
function given<K extends keyof Settings>(key: K, text: string): Settings[K] {
  return parseSettings({ [key]: { text, source: `--${options[key].flag}` } })[key];
}

Deno.test("parseSettings() reads each kind of value", async (t) => {
  const table: [keyof Settings, string, unknown][] = [
    ["webhookPort", "0", 0],
    ["bindAddress", "::", "::"],
    ["tlsCertFile", "", undefined],
    ["caLifetimeMs", "24h", 86_400_000],
    ["leaseMs", "3s", 3_000],
    ["leaseMs", "60m", 3_600_000],
    ["webhookConfiguration", "data-spacer.example.com", "data-spacer.example.com"],
    ["imagePullSecret", "", undefined],
    ["imagePullSecret", "registry.credentials", "registry.credentials"],
    ["imagePullSecret", "a".repeat(253), "a".repeat(253)],
    ["resolvers", "10.96.0.10, fd00::a", ["10.96.0.10", "fd00::a"]],
    ["dnsSelector", "k8s-app=kube-dns,tier=", { "k8s-app": "kube-dns", tier: "" }],
    ["dnsCidrs", "169.254.20.10/32,fd00::/8", ["169.254.20.10/32", "fd00::/8"]],
    ["initImage", `r.example.com:5000/a/b@sha256:${"0".repeat(64)}`, `r.example.com:5000/a/b@sha256:${"0".repeat(64)}`],
    ["proxyResources", "cpu=1.5,memory=192Mi", { cpu: "1.5", memory: "192Mi" }],
    ["proxyUids", "30000-30000", { first: 30_000, last: 30_000 }],
    ["runtimeClasses", "gvisor,kata-qemu", ["gvisor", "kata-qemu"]],
    ["priorityClasses", "", []],
    ["extendedResources", "nvidia.com/gpu amd.com/gpu", ["nvidia.com/gpu", "amd.com/gpu"]],
    ["recreateUninjected", "all", "all"],
  ];
  for (const [key, text, value] of table) {
    await t.step(`${key} "${text}"`, () => assert.deepEqual(given(key, text), value));
  }
});

Deno.test("parseSettings() refuses what is no value, and names the flag, the text and what would be right", async (t) => {
  const table: [keyof Settings, string, RegExp][] = [
    ["namespace", "Data", /lower-case/],
    ["podName", "", /lower-case letters, digits, dashes and dots/],
    ["webhookConfiguration", "Data_Spacer", /lower-case letters, digits, dashes and dots/],
    ["webhookConfiguration", "a,metadata.name!=b", /lower-case/],
    ["imagePullSecret", "a\n", /lower-case letters, digits, dashes and dots/],
    ["imagePullSecret", "-a", /lower-case/],
    ["imagePullSecret", "a..b", /lower-case/],
    ["imagePullSecret", "a".repeat(254), /at most 253/],
    ["leaseMs", "2s", /from 3s to 1h/],
    ["leaseMs", "61m", /from 3s to 1h/],
    ["leaseMs", "10", /with a unit/],
    ["bindAddress", "localhost", /IPv4 or IPv6/],
    ["webhookPort", "65536", /from 0 to 65535/],
    ["workers", "1.5", /whole number/],
    ["caLifetimeMs", "24", /with a unit/],
    ["caLifetimeMs", "0h", /with a unit/],
    ["logLevel", "loud", /debug, info, warn or error/],
    ["resolvers", "10.96.0.10,dns", /IPv4 or IPv6 addresses/],
    ["resolvers", "10.96.0.10\n-j ACCEPT", /IPv4 or IPv6 addresses/],
    ["dnsCidrs", "10.0.0.0/33", /address ranges/],
    ["dnsSelector", "k8s-app", /labels like/],
    ["initImage", 'a b"', /image reference/],
    ["proxyImage", "envoy@sha256:0", /image reference/],
    ["proxyResources", "cpu=1", /must be CPU and memory, like/],
    ["proxyUids", "5", /two uids/],
    ["proxyUids", "0-5", /from 1 to 65535/],
    ["proxyUids", "6-5", /the smaller one first/],
    ["defaultRunAsUser", "0", /from 1 to 65535/],
    ["extendedResources", "a,-b", /names separated by commas/],
    ["redirectBackend", "ebpf", /nft or legacy/],
    ["recreateUninjected", "some", /none, controlled or all/],
  ];
  for (const [key, text, right] of table) {
    await t.step(`${key} ${JSON.stringify(text)}`, () => {
      assert.throws(() => given(key, text), (error: Error) => {
        assert.equal(error.name, "RangeError");
        assert.ok(error.message.startsWith(`Cannot use --${options[key].flag} "${text}": must `), error.message);
        assert.match(error.message, right);
        return true;
      });
    });
  }
});

Deno.test("parseSettings() names everything that is wrong at once, and what does not fit together", () => {
  const source = "x";
  assert.throws(
    () => parseSettings({ workers: { text: "0", source }, opsPort: { text: "y", source } }),
    { message: /^Cannot use x "y".*\nCannot use x "0".*$/ },
  );
  assert.throws(() => parseSettings({ tlsCertFile: { text: "a.pem", source } }), {
    message: /--tls-key-file is missing/,
  });
  assert.throws(() => parseSettings({ tlsKeyFile: { text: "a.pem", source } }), {
    message: /--tls-cert-file is missing/,
  });
  assert.throws(() => parseSettings({ defaultRunAsUser: { text: "21340", source } }), {
    message: /outside --proxy-uids/,
  });
});

Deno.test("every setting has a default that is right, and flags and variables of its own", () => {
  assert.doesNotThrow(() => parseSettings({}));
  const specs = Object.values(options);
  assert.equal(new Set(specs.map(({ flag }) => flag)).size, specs.length);
  assert.equal(new Set(specs.map(({ env }) => env)).size, specs.length);
});
