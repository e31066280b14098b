import { createHash } from "node:crypto";

/** Puts programs of this machine, and what they need, into folders that become the roots of images. */

const DECODER = new TextDecoder();

/** Copies a file to `root + path`, links followed. */
export async function addFile(root: string, path: string, from = path): Promise<void> {
  await Deno.mkdir(parentOf(root + path), { recursive: true });
  await Deno.copyFile(from, root + path);
}

/** Writes a text to `root + path`. */
export async function addText(root: string, path: string, text: string): Promise<void> {
  await Deno.mkdir(parentOf(root + path), { recursive: true });
  await Deno.writeTextFile(root + path, text);
}

/** Copies programs or libraries, each to its own path, with the libraries that they load. */
export async function addPrograms(root: string, paths: string[]): Promise<void> {
  for (const path of new Set([...paths, ...await librariesOf(paths)])) await addFile(root, path);
}

/**
 * The libraries that programs load, and the loader, by path; none for static ones.
 *
 * @throws {Error} naming what is missing.
 */
export async function librariesOf(paths: string[]): Promise<string[]> {
  const { stdout } = await new Deno.Command("ldd", { args: paths, stderr: "null" }).output(); // 1 for static programs
  const lines = DECODER.decode(stdout).split("\n");
  const absent = lines.find((line) => line.includes("not found"));
  if (absent) throw new Error(`Cannot make an image of ${paths[0]}: ldd says ${absent.trim()}`);
  const found = lines.map((line) => /(?:=> |^\t)(\/\S+) \(0x/.exec(line)?.[1]).filter((path) => path !== undefined);
  return [...new Set(found)].sort();
}

/**
 * What stands in for a distroless base: the C library and libgcc_s, the user 65532, and no shell.
 *
 * @param deno a program that needs just these libraries.
 */
export async function addDistroless(root: string, deno: string): Promise<void> {
  for (const library of await librariesOf([deno])) await addFile(root, library);
  await addText(
    root,
    "/etc/passwd",
    "root:x:0:0:root:/root:/sbin/nologin\nnonroot:x:65532:65532::/home/nonroot:/sbin/nologin\n",
  );
  await addText(root, "/etc/group", "root:x:0:\nnonroot:x:65532:\n");
  await addText(root, "/etc/nsswitch.conf", "hosts: files dns\n");
  await Deno.mkdir(`${root}/home/nonroot`, { recursive: true });
  await Deno.mkdir(`${root}/tmp`);
  await Deno.chmod(`${root}/tmp`, 0o1777);
}

/** Both back ends of iptables for IPv4 and IPv6, with the libraries of their matches and targets. */
export async function addIptables(root: string): Promise<void> {
  const backends = ["nft", "legacy"];
  await addPrograms(root, [...backends.map((backend) => `/usr/sbin/xtables-${backend}-multi`), ...await extensions()]);
  for (const tool of ["iptables", "ip6tables"]) {
    for (const backend of backends) {
      for (const action of ["", "-save", "-restore"]) {
        await Deno.symlink(`xtables-${backend}-multi`, `${root}/usr/sbin/${tool}-${backend}${action}`);
      }
    }
  }
}

/** Paths of the libraries of matches and targets of iptables. @throws {Error} where there are none. */
export async function extensions(): Promise<string[]> {
  for await (const { name } of Deno.readDir("/usr/lib")) {
    const folder = `/usr/lib/${name}/xtables`;
    const files = await Array.fromAsync(Deno.readDir(folder)).catch(() => []);
    const libraries = files.map((file) => file.name).filter((name) => /^lib(xt|ipt|ip6t)_.*\.so$/.test(name)).sort();
    if (libraries.length > 0) return libraries.map((library) => `${folder}/${library}`);
  }
  throw new Error("Cannot make the init image: no iptables extensions; install the package iptables");
}

/** Busybox with all its applets in `/bin`, and two users. */
export async function addBusybox(root: string, busybox: string): Promise<void> {
  for (const folder of ["bin", "etc", "root", "tmp"]) await Deno.mkdir(`${root}/${folder}`);
  await Deno.chmod(`${root}/tmp`, 0o1777);
  await Deno.copyFile(busybox, `${root}/bin/busybox`);
  const { stdout } = await new Deno.Command(busybox, { args: ["--list"] }).output();
  for (const applet of new TextDecoder().decode(stdout).trim().split("\n")) {
    if (applet !== "busybox") await Deno.symlink("busybox", `${root}/bin/${applet}`);
  }
  await Deno.writeTextFile(`${root}/etc/passwd`, "root:x:0:0:root:/root:/bin/sh\napp:x:1000:1000:app:/tmp:/bin/sh\n");
  await Deno.writeTextFile(`${root}/etc/group`, "root:x:0:\napp:x:1000:\n");
}

/** Busybox of this machine. @throws {Error} if it is not static. */
export async function staticBusybox(): Promise<{ path: string; digest: string }> {
  const path = "/bin/busybox";
  const bytes = await Deno.readFile(path);
  // the dynamic linker's path stands in every program that needs one
  if (new TextDecoder("latin1").decode(bytes.subarray(0, 4_096)).includes("/ld-linux")) {
    throw new Error(`Cannot make an image of ${path}: it is not static; install the package busybox-static`);
  }
  return { path, digest: createHash("sha256").update(bytes).digest("hex") };
}

/** Changes when one of the files does, or is replaced. */
export async function fingerprint(paths: string[]): Promise<string> {
  const files = await Promise.all(paths.map(async (path) => ({ path, ...await Deno.stat(path) })));
  return files.map(({ path, size, mtime }) => `${path} ${size} ${mtime!.getTime()}`).join("\n");
}

function parentOf(path: string): string {
  return path.slice(0, path.lastIndexOf("/")) || "/";
}
