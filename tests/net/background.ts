import { until } from "../cluster/processes.ts";
import type { Namespace } from "./namespace.ts";

/** A program in the background, killed at the end. */
export function background(command: string[]): AsyncDisposable {
  const [program, ...args] = command;
  const child = new Deno.Command(program!, { args, stdin: "null", stdout: "null", stderr: "null" }).spawn();
  return {
    async [Symbol.asyncDispose]() {
      child.kill("SIGKILL");
      await child.status;
    },
  };
}

/** Waits until somebody listens on an address of this namespace. */
export async function listening(namespace: Namespace, to: string, port: number): Promise<void> {
  const look = async () => (await namespace.call("tcp", { to, port, limit: 0 })).connected || undefined;
  await until(look, { ms: 5_000, what: `server on ${to}:${port}`, every: 30 });
}

/** A folder of `parent` with a self-signed certificate and its key in one file, readable for all; the path of that file. */
export async function certificate(parent: string): Promise<string> {
  const folder = await Deno.makeTempDir({ dir: parent });
  const [cert, key, pair] = ["cert.pem", "key.pem", "pair.pem"].map((name) => `${folder}/${name}`) as [
    string,
    string,
    string,
  ];
  const kind = [
    "-newkey",
    "ec",
    "-pkeyopt",
    "ec_paramgen_curve:prime256v1",
    "-nodes",
    "-days",
    "2",
    "-subj",
    "/CN=test",
  ];
  const args = ["req", "-x509", ...kind, "-keyout", key, "-out", cert];
  const { success, stderr } = await new Deno.Command("openssl", { args, stdout: "null", stderr: "piped" }).output();
  if (!success) throw new Error(`Cannot make a certificate: ${new TextDecoder().decode(stderr)}`);
  await Deno.writeTextFile(pair, await Deno.readTextFile(key) + await Deno.readTextFile(cert));
  await Deno.chmod(folder, 0o755);
  await Deno.chmod(pair, 0o644);
  return pair;
}
