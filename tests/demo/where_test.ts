import assert from "node:assert/strict";
import { parse } from "yaml";
import { NOT_FOUND, type Run } from "../../demo/commands.ts";
import { kustomization } from "../support/kustomization.ts";
import { manifests } from "../../demo/manifests.ts";
import { IMAGES } from "../../demo/options.ts";
import { choose } from "../../demo/where/choose.ts";
import { imagesAt, type Means } from "../../demo/where/ground.ts";
import { deleteKind, kindGround, kindIsThere } from "../../demo/where/kind.ts";
import { readFile, ROOT } from "../support/tree.ts";

/** A machine on which these programs are there, and all they do succeeds but what begins with one of `failing`. */
function machine(programs: string[], failing: string[] = []): { run: Run; ran: string[] } {
  const ran: string[] = [];
  const run: Run = (command) => {
    const line = command.join(" ").replaceAll(ROOT, "ROOT/");
    ran.push(line);
    if (!programs.includes(command[0]!)) {
      return Promise.resolve({ code: NOT_FOUND, stdout: "", stderr: `${command[0]}: not found` });
    }
    const fails = failing.some((beginning) => line.startsWith(beginning));
    return Promise.resolve(
      fails ? { code: 1, stdout: "", stderr: "no luck" } : { code: 0, stdout: "", stderr: "Warning" },
    );
  };
  return { run, ran };
}

const ALL = ["docker", "kind", "kubectl"];
const means = (run: Run): Means => ({ run, screen: { progress: () => {} }, signal: new AbortController().signal });

Deno.test("choose() takes the context that is named, else kind where all for it is there, else this machine", async (t) => {
  const linux = { os: "linux", uid: 0 };
  const cases: [what: string, given: Parameters<typeof choose>[0], on: object, expected: object][] = [
    ["context", { context: "mine" }, { ...machine(ALL), ...linux }, { on: "context", context: "mine" }],
    ["all for kind", {}, { ...machine(ALL), os: "darwin", uid: 501 }, { on: "kind" }],
    ["no kind", {}, { ...machine(["docker", "kubectl"]), ...linux }, { on: "node" }],
    ["no daemon", {}, { ...machine(ALL, ["docker version"]), ...linux }, { on: "node" }],
    ["node asked for", { on: "node" }, { ...machine(ALL), ...linux }, { on: "node" }],
  ];
  for (const [what, given, on, expected] of cases) {
    await t.step(what, async () => assert.deepEqual(await choose(given, on as Parameters<typeof choose>[1]), expected));
  }
});

Deno.test("choose() says what is missing for each place", async (t) => {
  const user = { ...machine(["docker"], ["docker version"]), os: "linux", uid: 1000 };
  await t.step("anywhere", async () => {
    await assert.rejects(choose({}, user), {
      message: `Cannot tell the story: it needs one of
  a new kind cluster: there is no Docker that answers, no kind, no kubectl
  a node of this machine: that takes root
  a cluster that you have: name its context, --context NAME`,
    });
  });
  await t.step("where only kind is wanted", async () => {
    await assert.rejects(
      choose({ on: "kind" }, { ...user, uid: 0 }),
      /no kind, no kubectl\n {2}a cluster that you have/,
    );
  });
  await t.step("where only a node is wanted", async () => {
    const mac = { ...machine(ALL), os: "darwin", uid: 501 };
    await assert.rejects(
      choose({ on: "node" }, mac),
      /one of\n {2}a node of this machine: that takes Linux and root\n/,
    );
  });
});

const ENVOY = "docker.io/envoyproxy/envoy:distroless-v1.40.0";
const IMAGE_LIST = [
  "localhost/data-spacer:demo",
  "localhost/data-spacer-init:demo",
  ENVOY,
  "localhost/hospital-app:demo",
  "localhost/pharma-app:demo",
];
const DELETE = "kind delete cluster --name data-spacer-demo --kubeconfig KUBECONFIG";

Deno.test("kindGround() builds our images by their Dockerfiles, makes a cluster and loads them", async () => {
  const folder = await Deno.makeTempDir();
  try {
    const { run, ran } = machine(ALL);
    const kubeconfig = `${folder}/demo/kind.kubeconfig`;
    const steady = () => ran.map((line) => line.replaceAll(kubeconfig, "KUBECONFIG"));
    const ground = await kindGround(means(run), kubeconfig);
    assert.deepEqual(steady(), [
      "kind get clusters",
      "docker build -t localhost/data-spacer:demo ROOT/",
      "docker build -t localhost/data-spacer-init:demo --target init ROOT/",
      "docker build -t localhost/hospital-app:demo -f ROOT/demo/hospital-app/Dockerfile ROOT/demo",
      "docker build -t localhost/pharma-app:demo -f ROOT/demo/pharma-app/Dockerfile ROOT/demo",
      "kind create cluster --name data-spacer-demo --kubeconfig KUBECONFIG --wait 180s",
      `kind load docker-image --name data-spacer-demo ${IMAGE_LIST.filter((image) => image !== ENVOY).join(" ")}`,
      `docker exec data-spacer-demo-control-plane crictl pull ${ENVOY}`,
    ]);
    assert.deepEqual(Object.values(ground.images), IMAGE_LIST);
    assert.deepEqual(ground.kubectl.command, ["kubectl", "--kubeconfig", kubeconfig]);
    await ground.keep();
    assert.equal(ran.length, 8, "keeping takes no command");
    await ground[Symbol.asyncDispose]();
    assert.equal(steady().at(-1), DELETE);
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
});

Deno.test("kindGround() leaves no cluster where something fails, and none of another demo's is touched", async (t) => {
  const folder = await Deno.makeTempDir();
  const kubeconfig = `${folder}/kubeconfig`;
  try {
    for (const [failing, deleted] of [["docker build", false], ["kind create", true], ["docker exec", true]] as const) {
      await t.step(failing, async () => {
        const { run, ran } = machine(ALL, [failing]);
        await assert.rejects(kindGround(means(run), kubeconfig), {
          message: new RegExp(`^Cannot go on: "${failing} .*" ended with 1:\nno luck$`),
        });
        assert.equal(ran.includes(DELETE.replace("KUBECONFIG", kubeconfig)), deleted);
      });
    }
    await t.step("there is no kind", async () => assert.equal(await kindIsThere(machine(["docker"]).run), false));
    await t.step("a cluster of that name is there", async () => {
      const ran: string[] = [];
      const run: Run = (command) => {
        ran.push(command.join(" "));
        return Promise.resolve({ code: 0, stdout: "other\ndata-spacer-demo\n", stderr: "" });
      };
      assert.ok(await kindIsThere(run));
      ran.length = 0;
      await assert.rejects(kindGround(means(run), kubeconfig), /there is one; --clean removes it/);
      assert.deepEqual(ran, ["kind get clusters"]);
      await deleteKind(means(run), kubeconfig);
      assert.equal(ran.at(-1), DELETE.replace("KUBECONFIG", kubeconfig));
    });
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
});

Deno.test("the story's default images are those of deploy/base", async () => {
  const deployment = await readFile("deploy/base/deployment.yaml");
  const { controller, init, proxy } = imagesAt(IMAGES.template, IMAGES.proxy);
  for (const image of [controller, init, proxy]) assert.ok(deployment.includes(` ${image}\n`), image);
});

Deno.test("manifests() and kustomization() name the images that are given", async () => {
  const images = imagesAt("r.example/NAME:2", "r.example/envoy:2");
  const all =
    (await Promise.all((["hospital", "restricted", "pharma"] as const).map((name) => manifests(name, images))))
      .flat();
  const named = JSON.stringify(all).match(/"image":"[^"]*"/g);
  assert.deepEqual(named, [
    `"image":"${images.hospital}"`,
    `"image":"${images.hospital}"`,
    `"image":"${images.pharma}"`,
  ]);
  const { patches: [{ patch }], resources } = parse(kustomization("../deploy", images));
  const [container] = parse(patch).spec.template.spec.containers;
  assert.deepEqual([container.image, ...container.env.map(({ value }: { value: string }) => value)], [
    images.controller,
    images.init,
    images.proxy,
  ]);
  assert.deepEqual(resources, ["../deploy/base"]);
});
