/**
 * What the consumer offloads: a program that reads the hospital's data where they are. `/processed-data` reads all patients and answers with
 * an aggregate; `/simulate?url=…` makes any request that one wants to see tried from within the pod; `/healthz`.
 *
 *     PORT=8080 HOSPITAL_URL=http://hospital-app.hospital-space:8080 deno run --allow-net --allow-env=PORT,HOST,HOSPITAL_URL demo/pharma-app/main.ts
 */
import { type Environment, type Handler, json, reasonOf, routes, runApp } from "../app.ts";

/** Most of a foreign answer that is repeated, bytes. */
const MAX_BODY = 65_536;

/** What the app works with. */
export interface PharmaOptions {
  /** Where hospital-app is. */
  hospital: URL;
  /** Longest time for one request of its own, ms. */
  timeoutMs?: number;
}

/** What is told of the patients, and no more. */
export interface Aggregate {
  /** Where they were read. */
  source: string;
  patients: number;
  /** Years, to one decimal. */
  meanAge: number;
  /** Number of patients by diagnosis. */
  diagnoses: Record<string, number>;
}

/**
 * HOSPITAL_URL.
 *
 * @throws {Error} if it is not set, or no URL.
 */
export function hospitalUrl(environment: Environment): URL {
  const text = environment("HOSPITAL_URL") ?? "";
  const url = webUrl(text);
  if (url) return url;
  throw new Error(
    `Cannot start: HOSPITAL_URL must be a URL like http://hospital-app.hospital-space:8080, but is "${text}"`,
  );
}

function webUrl(text: string): URL | undefined {
  const url = URL.parse(text);
  return url && ["http:", "https:"].includes(url.protocol) ? url : undefined;
}

/** Answers what the consumer asks its app. */
export function pharma({ hospital, timeoutMs = 5_000 }: PharmaOptions): Handler {
  /** The answer as it came: a redirect is not followed. */
  const get = (url: URL) => fetch(url, { redirect: "manual", signal: AbortSignal.timeout(timeoutMs) });
  return routes({
    "/simulate": async ({ url: { searchParams } }) => {
      const text = searchParams.get("url") ?? "";
      const url = webUrl(text);
      if (!url) return json({ error: `Cannot simulate: url must be one of http or https, but is "${text}"` }, 400);
      try {
        const response = await get(url);
        return json({ url: url.href, status: response.status, body: await beginning(response) });
      } catch (error) {
        return json({ url: url.href, error: reasonOf(error) }, 502);
      }
    },
    "/processed-data": async () => {
      const source = new URL("/patients", hospital);
      try {
        const response = await get(source);
        if (!response.ok) throw new Error(`status ${response.status}, ${await beginning(response)}`);
        return json(aggregate(source, await response.json()));
      } catch (error) {
        return json({ error: `Cannot read ${source}: ${reasonOf(error)}` }, 502);
      }
    },
  });
}

/**
 * Counts patients.
 *
 * @throws {TypeError} if it is given something else.
 */
export function aggregate(source: URL, patients: unknown): Aggregate {
  if (!Array.isArray(patients) || !patients.every(isPatient)) throw new TypeError("the answer is no list of patients");
  const diagnoses: Record<string, number> = {};
  for (const { diagnosis } of patients) diagnoses[diagnosis] = (diagnoses[diagnosis] ?? 0) + 1;
  const years = patients.reduce((sum, { age }) => sum + age, 0);
  const meanAge = patients.length === 0 ? 0 : Math.round(years / patients.length * 10) / 10;
  return { source: source.href, patients: patients.length, meanAge, diagnoses };
}

/** What it needs of a patient. */
interface Patient {
  age: number;
  diagnosis: string;
}

function isPatient(value: unknown): value is Patient {
  const { age, diagnosis } = (value ?? {}) as Partial<Patient>;
  return typeof age === "number" && typeof diagnosis === "string";
}

/** The body as text, or as much of it as one wants to see. */
async function beginning(response: Response): Promise<string> {
  const decoder = new TextDecoder();
  let size = 0, text = "";
  for await (const chunk of response.body ?? []) { // leaving the loop early gives the rest up
    text += decoder.decode(chunk.subarray(0, MAX_BODY - size), { stream: true });
    size += chunk.length;
    if (size >= MAX_BODY) break;
  }
  return text;
}

if (import.meta.main) runApp("pharma-app", (environment) => pharma({ hospital: hospitalUrl(environment) }));
