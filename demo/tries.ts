import { NAMESPACES, PHARMA } from "./cast.ts";
import type { Kubectl } from "./kubectl.ts";

/** What became of a request. */
export interface Answer {
  /** Of HTTP; absent where there was none. */
  status?: number;
  body: string;
}

/** Longest wait for an answer, ms: the proxy gives a connection up after 5 s. */
const ASK_MS = 9_000;

const ASK = `const [url] = Deno.args;
try {
  const answer = await fetch(url, { signal: AbortSignal.timeout(${ASK_MS}) });
  console.log(JSON.stringify({ status: answer.status, body: (await answer.text()).trim() }));
} catch (error) {
  const causes = [];
  for (let cause = error; cause; cause = cause.cause) causes.push(cause.message);
  console.log(JSON.stringify({ body: causes.at(-1) }));
}`;

const RESOLVE = `const [name, ipAddr] = Deno.args;
const server = ipAddr ? { nameServer: { ipAddr, port: 53 } } : {};
try {
  const found = await Deno.resolveDns(name, "A", { ...server, signal: AbortSignal.timeout(3000) });
  console.log(JSON.stringify({ status: 200, body: found.join(", ") }));
} catch (error) {
  console.log(JSON.stringify({ body: error.message }));
}`;

/** Pharma, in its own container, asks for a URL. Needs a shell of nobody's: its image has deno. */
export async function ask(kubectl: Kubectl, url: string): Promise<Answer> {
  return await inPharma(kubectl, ASK, url);
}

/** Pharma looks a name up; at the address of a server of its choice, if it is given. */
export async function resolve(kubectl: Kubectl, name: string, server?: string): Promise<Answer> {
  return await inPharma(kubectl, RESOLVE, name, ...(server === undefined ? [] : [server]));
}

/** Somebody of Hospital's asks for a URL. */
export async function askFromHospital(kubectl: Kubectl, url: string): Promise<Answer> {
  const exec = ["--namespace", NAMESPACES.hospital, "exec", "deployment/hospital-app", "--"];
  return JSON.parse(await kubectl.run([...exec, "deno", "eval", ASK, url])) as Answer;
}

async function inPharma(kubectl: Kubectl, script: string, ...args: string[]): Promise<Answer> {
  const exec = ["--namespace", NAMESPACES.pharma, "exec", "pharma-app", "--container", "app", "--"];
  return JSON.parse(await kubectl.run([...exec, "deno", "eval", script, ...args], { who: PHARMA })) as Answer;
}

/** An answer in a line. */
export function inWords({ status, body }: Answer): string {
  const text = body.length > 160 ? `${body.slice(0, 157)}…` : body;
  return status === undefined ? `no answer: ${text}` : `${status}: ${text}`;
}
