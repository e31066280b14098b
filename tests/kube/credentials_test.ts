import assert from "node:assert/strict";
import { stringify } from "yaml";
import { loadCredentials } from "../../lib/kube/credentials.ts";
import type { Surroundings } from "../../lib/kube/surroundings.ts";

const FOLDER = "/var/run/secrets/kubernetes.io/serviceaccount";
const base64 = (text: string): string => new TextEncoder().encode(text).toBase64();

/** A machine of files and variables; a clock and the plugin runs can be looked at. */
function machine(files: Record<string, string>, variables: Record<string, string> = {}) {
  const runs: { command: string; args: string[]; env: Record<string, string> }[] = [];
  const state = { ms: 0, reads: 0, output: "{}" };
  const around: Surroundings = {
    read: (path) => {
      state.reads++;
      const text = files[path];
      if (text === undefined) throw new Deno.errors.NotFound(`No such file or directory (os error 2): ${path}`);
      return text;
    },
    env: (name) => variables[name],
    run: (command, args, env) => {
      runs.push({ command, args, env });
      return state.output;
    },
    now: () => state.ms,
  };
  return { around, files, runs, state };
}

/** A kubeconfig with one of everything. */
function kubeconfig(user: object, cluster: object = {}, context: object = {}): string {
  return stringify({
    apiVersion: "v1",
    kind: "Config",
    "current-context": "here",
    clusters: [{ name: "c", cluster: { server: "https://api:6443", ...cluster } }],
    users: [{ name: "u", user }],
    contexts: [{ name: "here", context: { cluster: "c", user: "u", ...context } }],
  });
}

const IN_CLUSTER = { KUBERNETES_SERVICE_HOST: "10.96.0.1", KUBERNETES_SERVICE_PORT: "443" };
const SERVICE_ACCOUNT = { [`${FOLDER}/ca.crt`]: "CA", [`${FOLDER}/token`]: "t1\n", [`${FOLDER}/namespace`]: "ours\n" };

Deno.test("loadCredentials() takes the pod's service account", async () => {
  const { around } = machine({ ...SERVICE_ACCOUNT }, IN_CLUSTER);
  const { token, ...rest } = await loadCredentials(around);
  assert.deepEqual(rest, { server: "https://10.96.0.1:443", ca: "CA", namespace: "ours" });
  assert.equal(token?.(), "t1");
  const v6 = machine({ ...SERVICE_ACCOUNT }, { ...IN_CLUSTER, KUBERNETES_SERVICE_HOST: "fd00::1" });
  assert.equal((await loadCredentials(v6.around)).server, "https://[fd00::1]:443");
});

Deno.test("the service account's token is read again once a minute at most, at once when it was refused", async () => {
  const { around, files, state } = machine({ ...SERVICE_ACCOUNT }, IN_CLUSTER);
  const { token } = await loadCredentials(around);
  const path = `${FOLDER}/token`;
  files[path] = "t2";
  state.ms = 59_999;
  const reads = state.reads;
  assert.equal(token?.(), "t1");
  assert.equal(state.reads, reads);
  state.ms = 60_000;
  assert.equal(token?.(), "t2");
  files[path] = "t3";
  assert.equal(token?.(), "t2");
  assert.equal(token?.({ fresh: true }), "t3");
  delete files[path];
  assert.equal(token?.({ fresh: true }), "t3", "the last one stays when the file is gone");
  files[path] = "\n";
  assert.equal(token?.({ fresh: true }), "t3", "and when it is empty");
});

Deno.test("loadCredentials() tries its sources in order", async (t) => {
  const files = {
    ...SERVICE_ACCOUNT,
    "/flag": kubeconfig({ token: "flag" }),
    "/env": kubeconfig({ token: "env" }),
    "/users/jane/.kube/config": kubeconfig({ token: "home" }),
  };
  const all = { ...IN_CLUSTER, KUBECONFIG: "/env", HOME: "/users/jane" };
  const cases: [string, Record<string, string>, { kubeconfig?: string; context?: string }, string][] = [
    ["the named file", all, { kubeconfig: "/flag" }, "flag"],
    ["KUBECONFIG", all, {}, "env"],
    ["the service account", { ...IN_CLUSTER, HOME: "/users/jane" }, {}, "t1"],
    ["the home folder", { HOME: "/users/jane" }, {}, "home"],
    ["a context means no service account", { ...IN_CLUSTER, HOME: "/users/jane" }, { context: "here" }, "home"],
  ];
  for (const [name, variables, options, expected] of cases) {
    await t.step(name, async () => {
      const { around } = machine(files, variables);
      assert.equal((await loadCredentials({ ...around, ...options })).token?.(), expected);
    });
  }
});

Deno.test("loadCredentials() lists every source and why it did not serve", async (t) => {
  const cases: [string, Record<string, string>, Record<string, string>, { kubeconfig?: string }, RegExp][] = [
    ["nothing", {}, {}, {}, /KUBECONFIG: not set; .*KUBERNETES_SERVICE_HOST is not set; .*HOME is not set$/],
    ["no file", {}, { HOME: "/h" }, {}, /KUBECONFIG: not set; .*; kubeconfig "\/h\/.kube\/config": No such file/],
    [
      "a named file does not fall back",
      SERVICE_ACCOUNT,
      IN_CLUSTER,
      { kubeconfig: "/x" },
      /: kubeconfig "\/x": No such/,
    ],
    ["a broken one does not either", { "/e": "[" }, { ...IN_CLUSTER, KUBECONFIG: "/e" }, {}, /KUBECONFIG: /],
    ["a missing token", { [`${FOLDER}/ca.crt`]: "CA" }, IN_CLUSTER, {}, /service account of the pod: No such file/],
  ];
  for (const [name, files, variables, options, expected] of cases) {
    await t.step(name, async () => {
      const { around } = machine(files, variables);
      await assert.rejects(loadCredentials({ ...around, ...options }), (error: Error) => {
        assert.match(error.message, /^Cannot find credentials for the API server: /);
        assert.match(error.message, expected);
        return true;
      });
    });
  }
});

Deno.test("a kubeconfig's credentials come as data, as files beside it, in YAML and JSON", async (t) => {
  const files: Record<string, string> = { "/k/ca": "CA2", "/k/crt": "CRT2", "/abs/key": "KEY2", "/k/token": "T2\n" };
  const expected = { server: "https://api:6443", ca: "CA", cert: "CRT", key: "KEY", namespace: "tenant" };
  const data = kubeconfig(
    { "client-certificate-data": base64("CRT"), "client-key-data": base64("KEY"), "client-certificate": "unused" },
    { "certificate-authority-data": base64("CA") },
    { namespace: "tenant" },
  );
  const cases: [string, string, object][] = [
    ["data", data, expected],
    [
      "files",
      kubeconfig({ "client-certificate": "crt", "client-key": "/abs/key" }, { "certificate-authority": "ca" }),
      { server: "https://api:6443", ca: "CA2", cert: "CRT2", key: "KEY2" },
    ],
    [
      "JSON",
      JSON.stringify({
        "current-context": "j",
        contexts: [{ name: "j", context: { cluster: "c" } }],
        clusters: [{ name: "c", cluster: { server: "https://j" } }],
      }),
      { server: "https://j" },
    ],
    [
      "impersonation",
      kubeconfig({ as: "jane", "as-groups": ["g"], "as-uid": "7" }),
      { server: "https://api:6443", impersonate: { user: "jane", groups: ["g"], uid: "7" } },
    ],
  ];
  for (const [name, text, expected] of cases) {
    await t.step(name, async () => {
      const { around } = machine({ ...files, "/k/config": text });
      assert.deepEqual(await loadCredentials({ ...around, kubeconfig: "/k/config" }), expected);
    });
  }
  await t.step("token, tokenFile before token", async () => {
    const { around } = machine({
      ...files,
      "/k/a": kubeconfig({ token: "T1" }),
      "/k/b": kubeconfig({ token: "T1", tokenFile: "token" }),
    });
    assert.equal((await loadCredentials({ ...around, kubeconfig: "/k/a" })).token?.(), "T1");
    assert.equal((await loadCredentials({ ...around, kubeconfig: "/k/b" })).token?.(), "T2");
  });
});

Deno.test("KUBECONFIG may name several files: the first entry of a name counts, paths belong to their file", async () => {
  const first = stringify({
    "current-context": "x",
    clusters: [{ name: "c", cluster: { server: "https://first", "certificate-authority": "ca" } }],
  });
  const second = stringify({
    "current-context": "y",
    clusters: [{ name: "c", cluster: { server: "https://second" } }],
    users: [{ name: "u", user: { tokenFile: "token" } }],
    contexts: [{ name: "x", context: { cluster: "c", user: "u" } }],
  });
  const { around } = machine(
    { "/1/a": first, "/2/b": second, "/1/ca": "CA1", "/2/token": "T2" },
    { KUBECONFIG: "/1/a:/2/b" },
  );
  const { token, ...rest } = await loadCredentials(around);
  assert.deepEqual({ ...rest, token: token?.() }, { server: "https://first", ca: "CA1", token: "T2" });
});

Deno.test("a kubeconfig that means something else than fetch can do is refused with the field named", async (t) => {
  const cases: [string, string, RegExp][] = [
    [
      "no verification",
      kubeconfig({}, { "insecure-skip-tls-verify": true }),
      /insecure-skip-tls-verify is not supported/,
    ],
    ["another server name", kubeconfig({}, { "tls-server-name": "other" }), /host "other"/],
    ["a proxy", kubeconfig({}, { "proxy-url": "http://p" }), /HTTPS_PROXY/],
    ["a password", kubeconfig({ username: "u", password: "p" }), /user "u": username is not supported/],
    ["an auth provider", kubeconfig({ "auth-provider": { name: "gcp" } }), /auth-provider is not supported/],
    ["half a pair", kubeconfig({ "client-certificate-data": base64("x") }), /belong together/],
    ["no URL", kubeconfig({}, { server: "api" }), /cluster "c": server is not a URL/],
    ["an unknown cluster", kubeconfig({}, {}, { cluster: "d" }), /there is no cluster "d", only c/],
    ["an unknown user", kubeconfig({}, {}, { user: "v" }), /there is no user "v", only u/],
    ["no context", "apiVersion: v1", /current-context is not set/],
    ["no mapping", "- 1", /current-context|not a kubeconfig/],
    ["nothing", "", /not a kubeconfig/],
    ["a bad token file", kubeconfig({ tokenFile: "none" }), /No such file/],
  ];
  for (const [name, text, expected] of cases) {
    await t.step(name, async () => {
      const { around } = machine({ "/k": text });
      await assert.rejects(loadCredentials({ ...around, kubeconfig: "/k" }), expected);
    });
  }
  await t.step("a context that is not there", async () => {
    const { around } = machine({ "/k": kubeconfig({}) });
    await assert.rejects(loadCredentials({ ...around, kubeconfig: "/k", context: "x" }), /no context "x", only here/);
  });
  await t.step("the server's own name is fine", async () => {
    const { around } = machine({
      "/k": kubeconfig({}, { server: "https://[fd00::1]:6443", "tls-server-name": "fd00::1" }),
    });
    await loadCredentials({ ...around, kubeconfig: "/k" });
  });
});

Deno.test("an exec plugin is run with what it needs, and again when its token has ended or was refused", async () => {
  const exec = {
    apiVersion: "client.authentication.k8s.io/v1",
    command: "./login",
    args: ["--cluster", "x"],
    env: [{ name: "A", value: "b" }],
    provideClusterInfo: true,
  };
  const { around, runs, state } = machine({
    "/k/config": kubeconfig({ exec }, { "certificate-authority-data": base64("CA") }),
  });
  const answer = (token: string, at: string): string =>
    JSON.stringify({ kind: "ExecCredential", status: { token, expirationTimestamp: at } });
  state.output = answer("T1", "1970-01-01T00:10:00Z");
  const { token } = await loadCredentials({ ...around, kubeconfig: "/k/config" });
  assert.equal(token?.(), "T1");
  assert.equal(runs.length, 1);
  const { KUBERNETES_EXEC_INFO, ...env } = runs[0]!.env;
  assert.deepEqual([runs[0]!.command, runs[0]!.args, env], ["/k/./login", ["--cluster", "x"], { A: "b" }]);
  assert.deepEqual(JSON.parse(KUBERNETES_EXEC_INFO!), {
    apiVersion: "client.authentication.k8s.io/v1",
    kind: "ExecCredential",
    spec: {
      interactive: false,
      cluster: { server: "https://api:6443", "certificate-authority-data": base64("CA") },
    },
  });
  state.output = answer("T2", "1970-01-01T00:20:00Z");
  state.ms = 569_000;
  assert.equal(token?.(), "T1");
  state.ms = 570_000; // half a minute before its end
  assert.equal(token?.(), "T2");
  state.output = answer("T3", "1970-01-01T00:20:00Z");
  assert.equal(token?.({ fresh: true }), "T3");
  assert.equal(token?.(), "T3");
  assert.equal(runs.length, 3);
});

Deno.test("an exec plugin may give a certificate, and its failure is explained", async (t) => {
  const load = (exec: object, output: string) => {
    const { around, state } = machine({ "/k": kubeconfig({ exec }) });
    state.output = output;
    return loadCredentials({ ...around, kubeconfig: "/k" });
  };
  await t.step("certificate", async () => {
    const status = { clientCertificateData: "CRT", clientKeyData: "KEY" };
    assert.deepEqual(await load({ command: "login" }, JSON.stringify({ status })), {
      server: "https://api:6443",
      cert: "CRT",
      key: "KEY",
    });
  });
  const failures: [string, object, string, RegExp][] = [
    ["no command", {}, "{}", /user "u": exec.command is missing/],
    ["no JSON", { command: "login", installHint: "install it" }, "oops", /"login" failed: .*\(install it\)/],
    ["no credential", { command: "login" }, '{"status":{}}', /gave neither a token nor a certificate/],
  ];
  for (const [name, exec, output, expected] of failures) {
    await t.step(name, () => assert.rejects(load(exec, output), expected));
  }
});

Deno.test("loadCredentials() runs a real plugin and reports how it failed", async () => {
  const file = await Deno.makeTempFile();
  try {
    const script = (code: string) => kubeconfig({ exec: { command: "sh", args: ["-c", code] } });
    await Deno.writeTextFile(file, script(`echo '{"status":{"token":"real"}}'`));
    assert.equal((await loadCredentials({ kubeconfig: file })).token?.(), "real");
    await Deno.writeTextFile(file, script("echo not logged in >&2; exit 3"));
    await assert.rejects(loadCredentials({ kubeconfig: file }), /exec plugin "sh" failed: exit code 3: not logged in/);
  } finally {
    await Deno.remove(file);
  }
});
