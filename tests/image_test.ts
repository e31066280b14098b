import assert from "node:assert/strict";
import type { Deployment } from "kubernetes-types/apps/v1.d.ts";
import * as v from "valibot";
import { parse } from "yaml";
import { imageEnvironment, runtimeFlags } from "../deploy/runtime_flags.ts";
import { options } from "../lib/core/options.ts";
import { parseSettings } from "../lib/core/parse_settings.ts";
import { deno, readFile } from "./support/tree.ts";

const settings = parseSettings({});
const deployment = parse(await readFile("deploy/base/deployment.yaml")) as Deployment;
const container = deployment.spec!.template.spec!.containers[0]!;

Deno.test("the images are built as the Deployment runs them", async () => {
  const dockerfile = await readFile("Dockerfile");
  const bases = [...dockerfile.matchAll(/^ARG \w+=(.*)$/gm)].map((match) => match[1]!);
  assert.equal(bases.length, 3);
  for (const base of bases) assert.ok(v.is(options.initImage.schema, base) && !/:latest$|\/[^:]*$/.test(base), base);
  assert.match(
    dockerfile,
    new RegExp(`^USER ${container.securityContext!.runAsUser}:${container.securityContext!.runAsGroup}$`, "m"),
  );
  assert.match(dockerfile, new RegExp(`^EXPOSE ${settings.webhookPort} ${settings.opsPort}$`, "m"));
  for (const [name, value] of Object.entries(imageEnvironment)) {
    assert.match(dockerfile, new RegExp(`^ENV ${name}=${value}$`, "m"));
  }
  assert.match(dockerfile, /^RUN deno task compile --for=image /m);
  assert.equal(container.args, undefined); // the default verb is serve
});

Deno.test("the demo's apps are built on the Deno that builds us, by a number for a user, and may do what they need", async () => {
  const base = /^ARG DENO=.*-([\d.]+)$/m;
  const version = base.exec(await readFile("Dockerfile"))![1];
  for (const [app, variables] of [["hospital", "PORT,HOST"], ["pharma", "PORT,HOST,HOSPITAL_URL"]]) {
    const dockerfile = await readFile(`demo/${app}-app/Dockerfile`);
    assert.equal(base.exec(dockerfile)![1], version);
    assert.match(dockerfile, /^USER [1-9]\d+:[1-9]\d+$/m);
    const flags = JSON.parse(/^ENTRYPOINT (.*)$/m.exec(dockerfile)![1]!).filter((word: string) =>
      /^--allow/.test(word)
    );
    assert.deepEqual(flags, ["--allow-net", `--allow-env=${variables}`]);
  }
});

Deno.test("in the image the program may read and do what its settings need, and no more", () => {
  const flags = runtimeFlags.image.map((flag) => flag.split("=")[0]);
  assert.deepEqual(flags.filter((flag) => flag!.startsWith("--allow")), ["--allow-net", "--allow-read", "--allow-env"]);
  const allowed = runtimeFlags.image.find((flag) => flag.startsWith("--allow-env="))!.split("=")[1]!.split(",");
  for (const { env } of Object.values(options)) assert.ok(allowed.includes(env), env);
  const readable = runtimeFlags.image.find((flag) => flag.startsWith("--allow-read="));
  assert.ok(readable, "reads are limited to folders");
});

Deno.test("compile says what is missing", async () => {
  const compile = async (env: Record<string, string>, ...args: string[]) => {
    const { code, stderr } = await deno(["run", "--allow-read", "--allow-env", "deploy/compile.ts", ...args], env);
    return { code, said: stderr.trim() };
  };
  assert.deepEqual(await compile({ DENORT_BIN: "/nowhere/denort" }), {
    code: 1,
    said: 'Cannot compile: DENORT_BIN is "/nowhere/denort", where there is no file; it must name an unpacked denort',
  });
  assert.deepEqual(await compile({}, "--for=moon"), {
    code: 1,
    said: 'Cannot compile for "moon": must be image or workstation',
  });
});
