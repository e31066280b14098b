import { imageEnvironment, runtimeFlags } from "../../../deploy/runtime_flags.ts";
import { prepare } from "../../net/tools.ts";
import { ROOT } from "../../support/tree.ts";
import { cacheFolder, exists, withLock } from "../cache.ts";
import type { ImageArchive } from "./base_images.ts";
import { type ImageOptions, makeArchive } from "./oci_archive.ts";

/** Shell functions: `copy` puts programs with their libraries into the root `$R`, `resolving` what looking names up takes. */
const FUNCTIONS = `
R=$1; mkdir -p $R/usr/lib $R/usr/lib64 $R/usr/bin $R/tmp $R/run $R/etc; chmod 1777 $R/tmp
for d in lib lib64 bin; do ln -s usr/$d $R/$d; done
put() { mkdir -p $R$(dirname $1); cp -nL $1 $R$1; }
copy() { for p; do put $p; for l in $(ldd $p 2>/dev/null | grep -o '/[^ ]*'); do put $l; done; done; }
resolving() { for l in dns files; do copy $(ls /lib/*/libnss_$l.so.2); done; echo 'hosts: files dns' > $R/etc/nsswitch.conf; }
program() { copy "$1"; mkdir -p $R/usr/local/bin; [ "$1" = "/usr/local/bin/$2" ] || mv "$R$1" $R/usr/local/bin/$2; resolving; }
`;

/** The images of a provider: our own, Envoy, the demo's two apps, and one with tools. Made once for what is in them. */
export async function buildImages(): Promise<ImageArchive[]> {
  const { envoy } = await prepare();
  return await withLock("product-images", async () => {
    const bundles = await Deno.makeTempDir({ prefix: "data-spacer-bundles-" });
    try {
      const bundle =
        'deno=$0; for p; do "$deno" bundle --quiet --platform=deno --output="$OUT/$(echo $p | tr / -)" $p; done';
      await sh(bundle, [Deno.execPath(), "main.ts", "demo/hospital-app/main.ts", "demo/pharma-app/main.ts"], {
        OUT: bundles,
      });
      const run = (
        flags: readonly string[],
      ) => ["/usr/local/bin/deno", "run", "--quiet", "--no-code-cache", ...flags, "/program.js"];
      const deno = (file: string) => `program ${Deno.execPath()} deno; cp ${bundles}/${file} $R/program.js`;
      const DENO = { DENO_DIR: "/tmp/deno", DENO_NO_UPDATE_CHECK: "1" };
      const app = { user: "10001:10001", env: DENO };
      const recipes: [name: string, script: string, options: Omit<ImageOptions, "ref" | "archive">][] = [
        ["data-spacer", deno("main.ts"), {
          entrypoint: run(runtimeFlags.image),
          user: "65532:65532",
          env: { ...DENO, ...imageEnvironment },
        }],
        ["data-spacer-init", IPTABLES, { env: { PATH: "/usr/sbin:/bin" } }],
        ["envoy", `program ${envoy} envoy`, { entrypoint: ["/usr/local/bin/envoy"], user: "101:101" }],
        ["hospital-app", deno("demo-hospital-app-main.ts"), {
          entrypoint: run(["--allow-net", "--allow-env"]),
          ...app,
        }],
        ["pharma-app", deno("demo-pharma-app-main.ts"), { entrypoint: run(["--allow-net", "--allow-env"]), ...app }],
        ["tools", TOOLS, { cmd: ["sh"] }],
      ];
      return await Promise.all(recipes.map(async ([name, script, options]) => {
        const key = await sh('cat $1/* | cat - "$0" | sha256sum | head -c 8', [
          new URL(import.meta.url).pathname,
          bundles,
        ]);
        const [ref, archive] = [`localhost/${name}:1`, `${cacheFolder()}/product-images/${name}-${key}.tar`];
        if (await exists(archive)) return { ref, archive };
        const root = await Deno.makeTempDir({ prefix: "data-spacer-image-" });
        try {
          await sh(FUNCTIONS + script, ["sh", root]);
          await makeArchive(root, { ref, archive, ...options });
        } finally {
          await Deno.remove(root, { recursive: true });
        }
        return { ref, archive };
      }));
    } finally {
      await Deno.remove(bundles, { recursive: true });
    }
  });
}

const IPTABLES = `copy /usr/sbin/xtables-*-multi /bin/busybox $(ls /usr/lib/*/xtables/*.so)
for tool in iptables ip6tables; do for b in nft legacy; do for act in '' -save -restore; do
  ln -s xtables-$b-multi $R/usr/sbin/$tool-$b$act
done; done; done
for a in sh nc tftp; do ln -s busybox $R/bin/$a; done`;

const TOOLS = `copy /bin/busybox /usr/bin/curl /usr/bin/socat; resolving
for a in $(/bin/busybox --list); do [ -e $R/bin/$a ] || ln -s busybox $R/bin/$a; done`;

async function sh(script: string, args: string[], env: Record<string, string> = {}): Promise<string> {
  const options: Deno.CommandOptions = { args: ["-euc", script, ...args], env, cwd: ROOT, stdin: "null" };
  const { success, stdout, stderr } = await new Deno.Command("bash", options).output();
  if (!success) throw new Error(`Cannot make images: ${new TextDecoder().decode(stderr).trim()}`);
  return new TextDecoder().decode(stdout);
}
