import assert from "node:assert/strict";
import { runtimeFlags } from "../../../deploy/runtime_flags.ts";
import { installMissing } from "../../support/debian_packages.ts";
import { readFile, ROOT } from "../../support/tree.ts";
import { withLock } from "../cache.ts";
import { toStderr } from "../go_build.ts";
import { Buildah, BUILDAH_COMMANDS, type ImageConfig } from "./buildah.ts";
import { entriesOf, type Entry, readPacked, withArchive } from "./image_contents.ts";
import { buildImages, TEST_IMAGES } from "./images.ts";
import { lookAtMachine } from "./machine.ts";
import { missing } from "./packages.ts";
import { makeStandIns, NOT_SHOWN } from "./stand_ins.ts";

const PROGRAM = "/usr/local/bin/data-spacer";

if (missing !== undefined) toStderr(`tests/cluster/node: skipped, ${missing}`);
const test = (name: string, fn: (t: Deno.TestContext) => Promise<void>) =>
  Deno.test({ name, ignore: missing !== undefined, fn });

/** The images of the Dockerfiles, each beside the archive that the node gets. */
const BUILDS: { ref: string; file: string; context: string; target?: string; ports: string[] }[] = [
  { ref: TEST_IMAGES.controller, file: "Dockerfile", context: ".", ports: ["8080/tcp", "8443/tcp"] },
  { ref: TEST_IMAGES.init, file: "Dockerfile", context: ".", target: "init", ports: [] },
  { ref: TEST_IMAGES.hospital, file: "demo/hospital-app/Dockerfile", context: "demo", ports: ["8080/tcp"] },
  { ref: TEST_IMAGES.pharma, file: "demo/pharma-app/Dockerfile", context: "demo", ports: ["8080/tcp"] },
];

test("each Dockerfile builds, and gives what the node runs", async (t) => {
  await withLock("packages", () => installMissing(BUILDAH_COMMANDS, toStderr));
  const archives = new Map((await buildImages()).map((image) => [image.ref, image]));
  const before = await traces();
  {
    await using buildah = await Buildah.start();
    await makeStandIns(buildah, await baseNames());
    for (const sentence of NOT_SHOWN) toStderr(`Not shown by the build from stand-ins: ${sentence}`);
    for (const { ref, file, context, ports, ...target } of BUILDS) {
      await t.step(`${file} ${target.target ?? ""}`.trim(), async (t) => {
        await buildah.build(ref, { file: ROOT + file, context: ROOT + context, ...target });
        const config = await buildah.config(ref);
        assert.deepEqual(Object.keys(config.ExposedPorts ?? {}).sort(), ports);
        await buildah.withRoot(ref, (built) =>
          withArchive(archives.get(ref)!, async (archived, archivedConfig) => {
            await t.step("user, entry point and environment", () => {
              assert.deepEqual(whatRuns(config), whatRuns(archivedConfig));
            });
            await t.step("files", async () => {
              const [inBuilt, inArchive] = await Promise.all([entriesOf(built), entriesOf(archived)]);
              if (ref === TEST_IMAGES.controller) {
                assert.ok(inArchive["/bin/deno"], "only the archive has it, for the stand-in of denort");
                delete inArchive["/bin/deno"], delete inArchive["/bin"];
                for (const entries of [inBuilt, inArchive]) delete entries[PROGRAM]!.digest; // it holds times
              }
              const seen = ref === TEST_IMAGES.init ? withoutDigests : (entries: typeof inBuilt) => entries;
              assert.deepEqual(seen(inBuilt), seen(inArchive));
            });
            if (ref !== TEST_IMAGES.controller) return;
            await t.step("permissions and program", async () => {
              const [ours, theirs] = await Promise.all([readPacked(built + PROGRAM), readPacked(archived + PROGRAM)]);
              assert.deepEqual(ours, theirs);
              assert.deepEqual(permissionFlags(ours.permissions), runtimeFlags.image.filter(isPermission).toSorted());
            });
          }));
      });
    }
  }
  assert.deepEqual([...(await traces()).difference(before)], []);
});

/** What on the machine a build could leave, as lines. */
async function traces(): Promise<Set<string>> {
  const { mounts, folders } = await lookAtMachine([]);
  const temporary = await Array.fromAsync(Deno.readDir("/tmp"), ({ name }) => name);
  return new Set([...mounts!, ...folders!, ...temporary.filter((name) => /buildah|stand-in/.test(name))]);
}

/** Names of the bases, as the Dockerfiles have them. */
async function baseNames(): Promise<Parameters<typeof makeStandIns>[1]> {
  const names = async (file: string) =>
    Object.fromEntries(
      [...(await readFile(file)).matchAll(/^ARG (\w+)=(.*)$/gm)].map(([, name, value]) => [name, value]),
    );
  const [ours, hospital, pharma] = await Promise.all(
    ["Dockerfile", "demo/hospital-app/Dockerfile", "demo/pharma-app/Dockerfile"].map(names),
  );
  assert.deepEqual(hospital, pharma);
  return { DENO: ours!.DENO, DEBIAN: ours!.DEBIAN, DISTROLESS: ours!.DISTROLESS, APP: hospital!.DENO };
}

function whatRuns({ User = "", Env = [], Entrypoint = [], Cmd = [], WorkingDir = "/" }: ImageConfig): ImageConfig {
  return { User, Env: Env.toSorted(), Entrypoint, Cmd, WorkingDir };
}

/** Debian's packages may be newer in a new build than on this machine. */
function withoutDigests(entries: Record<string, Entry>): Record<string, Entry> {
  return Object.fromEntries(Object.entries(entries).map(([path, { digest: _, ...entry }]) => [path, entry]));
}

function isPermission(flag: string): boolean {
  return /^--(allow|deny|ignore|no-prompt)/.test(flag);
}

/** The flags that a packed program was given; what it may import is left at Deno's default. */
function permissionFlags({ prompt, allow_import: _, ...permissions }: Record<string, unknown>): string[] {
  const flags = Object.entries(permissions).filter(([, value]) => Array.isArray(value)).map(([name, value]) => {
    const list = (value as string[]).join(",");
    return `--${name.replaceAll("_", "-")}${list === "" ? "" : `=${list}`}`;
  });
  return [...flags, ...(prompt === false ? ["--no-prompt"] : [])].sort();
}
