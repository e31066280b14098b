import assert from "node:assert/strict";
import { readCommandLine } from "../../lib/cli/options.ts";
import { UsageError, type Verb } from "../../lib/cli/verb.ts";
import { options } from "../../lib/core/options.ts";
import type { Settings } from "../../lib/core/settings.ts";
import { runVerb } from "../support/run_verb.ts";

const usage = {
  usage: "data-spacer test [FLAGS]",
  flags: { file: { value: "FILE", short: "f", help: "what to read" }, loud: { help: "make noise" } },
} as const;

/** Settings that flags and variables give. */
function settings(args: string[], env: Record<string, string> = {}): Settings {
  const line = readCommandLine(args, { env: (name) => env[name], out: () => assert.fail("printed") }, usage);
  return line!.settings;
}

/** For each setting: text for another value than its default, and the value, where that differs from the text. */
const samples: { [K in keyof Settings]?: [text: string, value?: Settings[K]] } = {
  namespace: ["elsewhere"],
  podName: ["replica-1"],
  bindAddress: ["::"],
  webhookPort: ["9443", 9443],
  opsPort: ["0", 0],
  serviceName: ["hook"],
  webhookConfiguration: ["hook"],
  tlsCertFile: ["/tls/tls.crt"],
  tlsKeyFile: ["/tls/tls.key"],
  caLifetimeMs: ["100d", 8_640_000_000],
  certificateLifetimeMs: ["12h", 43_200_000],
  kubeconfig: ["/etc/kubeconfig"],
  context: ["provider"],
  logLevel: ["debug"],
  resolvers: ["10.96.0.10,fd00::a", ["10.96.0.10", "fd00::a"]],
  dnsNamespace: ["dns"],
  dnsSelector: ["app=dns,tier=x", { app: "dns", tier: "x" }],
  dnsCidrs: ["169.254.20.10/32", ["169.254.20.10/32"]],
  initImage: ["registry.example/init:1"],
  proxyImage: [`registry.example/envoy@sha256:${"a".repeat(64)}`],
  imagePullSecret: ["registry"],
  initResources: ["cpu=50m,memory=32Mi", { cpu: "50m", memory: "32Mi" }],
  proxyResources: ["cpu=1,memory=1Gi", { cpu: "1", memory: "1Gi" }],
  defaultRunAsUser: ["4711", 4711],
  proxyUids: ["100-200", { first: 100, last: 200 }],
  runtimeClasses: ["gvisor,kata", ["gvisor", "kata"]],
  priorityClasses: ["batch", ["batch"]],
  extendedResources: ["nvidia.com/gpu", ["nvidia.com/gpu"]],
  redirectBackend: ["legacy"],
  recreateUninjected: ["all"],
  workers: ["3", 3],
  leaseMs: ["1m", 60_000],
};

Deno.test("readCommandLine() takes each setting by flag, by variable, or the flag where both are given", async (t) => {
  assert.deepEqual(Object.keys(samples), Object.keys(options), "each setting needs a sample");
  for (const [key, [text, value = text]] of Object.entries(samples) as [keyof Settings, [string, unknown?]][]) {
    const { flag, env, alone } = options[key];
    // The files of a mounted certificate are given together.
    const rest = key === "tlsCertFile" ? { TLS_KEY_FILE: "k" } : key === "tlsKeyFile" ? { TLS_CERT_FILE: "c" } : {};
    await t.step(flag, () => {
      assert.notDeepEqual(settings([])[key], value, "the sample is the default");
      assert.deepEqual(settings([`--${flag}=${text}`], rest as Record<string, string>)[key], value);
      if (alone === undefined) {
        assert.deepEqual(settings([`--${flag}`, text], rest as Record<string, string>)[key], value);
      }
      assert.deepEqual(settings([], { [env]: text, ...rest })[key], value);
      assert.deepEqual(settings([`--${flag}=${text}`], { [env]: "!", ...rest })[key], value);
    });
  }
});

Deno.test("readCommandLine() takes the last of several flags, and an empty variable for none", () => {
  assert.equal(settings(["--namespace=a", "--namespace=b"]).namespace, "b");
  assert.equal(settings([], { POD_NAMESPACE: "" }).namespace, "data-spacer");
});

Deno.test("readCommandLine() lets a flag with a meaning of its own stand alone", () => {
  assert.equal(settings([]).recreateUninjected, "none");
  assert.equal(settings(["--recreate-uninjected"]).recreateUninjected, "controlled");
  assert.equal(settings(["--recreate-uninjected=all"]).recreateUninjected, "all");
});

Deno.test("readCommandLine() gives a verb its own flags, in order", () => {
  const line = readCommandLine(["-f", "a", "--loud", "--file=b"], { env: () => undefined, out: () => {} }, usage);
  assert.deepEqual(line?.own, { file: ["a", "b"], loud: ["true"] });
});

Deno.test("readCommandLine() names flag or variable, what was given, and what would be right", async (t) => {
  const table: [name: string, args: string[], env: Record<string, string>, message: RegExp][] = [
    ["a flag", ["--webhook-port=0x1"], {}, /^Cannot use --webhook-port "0x1": must be a whole number from 0 to 65535$/],
    ["a variable", [], { LOG_LEVEL: "loud" }, /^Cannot use LOG_LEVEL "loud": must be debug, info, warn or error$/],
    [
      "each one on its line",
      ["--lease-duration=1", "--bind-address=here"],
      {},
      /^Cannot use --bind-address "here": .*\nCannot use --lease-duration "1": must be a number with a unit[^\n]*$/,
    ],
    [
      "what does not fit together",
      ["--tls-cert-file=a"],
      {},
      /^Cannot use a mounted certificate: --tls-key-file is missing/,
    ],
    [
      "an unknown flag",
      ["--nope"],
      {},
      /^Cannot read the command line: Unknown option '--nope'; --help lists the flags$/,
    ],
    ["an unknown letter", ["-x"], {}, /^Cannot read the command line: Unknown option '-x'; --help lists the flags$/],
    ["a stray argument", ["all"], {}, /^Cannot read the command line: Unexpected argument 'all'/],
    [
      "a value that is missing",
      ["--namespace"],
      {},
      /^Cannot read the command line: Option '--namespace <value>' argument missing;/,
    ],
    [
      "a value too many",
      ["--loud=yes"],
      {},
      /^Cannot read the command line: Option '--loud' does not take an argument;/,
    ],
  ];
  for (const [name, args, env, message] of table) {
    await t.step(name, () => {
      const read = () => readCommandLine(args, { env: (name) => env[name], out: () => assert.fail("printed") }, usage);
      assert.throws(
        read,
        (error) => error instanceof UsageError && message.test(error.message) || assert.fail(String(error)),
      );
    });
  }
});

Deno.test("--help lists every flag with its variable and default, whatever else is wrong", async () => {
  const run: Verb = (args, process) => Promise.resolve(readCommandLine(args, process, usage) === undefined ? 0 : 9);
  const { code, stdout, stderr } = await runVerb(run, ["-h"], { env: { LOG_LEVEL: "loud" } });
  assert.deepEqual([code, stderr], [0, ""]);
  assert.match(stdout, /^Usage: data-spacer test \[FLAGS\]\n\n {2}-f, --file FILE\n {6}what to read\n {2}--loud\n/);
  for (const { flag, env, help } of Object.values(options)) {
    const lines = stdout.split("\n");
    const at = lines.findIndex((line) => new RegExp(`^  --${flag}[ [].*\\(${env}[,)]`).test(line));
    assert.ok(at >= 0, `--${flag} with ${env}`);
    assert.equal(lines[at + 1]?.trim(), help);
  }
  assert.match(stdout, /^ {2}--recreate-uninjected\[=WHICH\] {2}\(RECREATE_UNINJECTED, default none\)$/m);
});
