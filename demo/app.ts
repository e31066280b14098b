/** What the two demo apps have in common: settings by environment, answers in JSON, an end on SIGTERM. */

/** Looks a variable of the environment up. */
export type Environment = (name: string) => string | undefined;

/** Answers a request. */
export type Handler = (request: Request) => Response | Promise<Response>;

/** What one path answers to GET, `:id` of its pattern among the groups. */
export type Route = (given: { url: URL; groups: Record<string, string | undefined> }) => Response | Promise<Response>;

/** An answer in JSON. */
export function json(value: unknown, status = 200): Response {
  return Response.json(value, { status });
}

/** Answers GET by path, `/healthz` included; the keys are patterns like `/patients/:id`. Says of all else what would be right. */
export function routes(table: Readonly<Record<string, Route>>): Handler {
  const all = Object.entries<Route>({ ...table, "/healthz": () => json({ ok: true }) })
    .map(([pathname, route]) => ({ pattern: new URLPattern({ pathname }), route }));
  const paths = all.map(({ pattern }) => pattern.pathname).join(", ");
  return async (request) => {
    const url = new URL(request.url);
    for (const { pattern, route } of all) {
      const match = pattern.exec(url);
      if (!match) continue;
      if (request.method !== "GET" && request.method !== "HEAD") {
        return json({ error: `Cannot ${request.method} ${url.pathname}: the method must be GET` }, 405);
      }
      return await route({ url, groups: match.pathname.groups });
    }
    return json({ error: `Cannot find ${url.pathname}: the path must be one of ${paths}` }, 404);
  };
}

/**
 * Where an app listens: HOST, all IPv4 addresses unless it is set, and PORT, 8080 unless it is set.
 *
 * @throws {Error} naming the variable that is wrong.
 */
export function listenAt(environment: Environment): { hostname: string; port: number } {
  const text = environment("PORT") || "8080";
  const port = Number(text);
  if (!/^\d+$/.test(text) || port < 1 || port > 65_535) {
    throw new Error(`Cannot start: PORT must be a number from 1 to 65535, but is "${text}"`);
  }
  return { hostname: environment("HOST") || "0.0.0.0", port };
}

/** Runs an app until SIGTERM or SIGINT, and finishes what is in flight then. What keeps it from starting is said in one line. */
export function runApp(name: string, make: (environment: Environment) => Handler): void {
  const environment: Environment = (variable) => Deno.env.get(variable);
  try {
    const server = Deno.serve({
      ...listenAt(environment),
      onListen: ({ hostname, port }) => say(Deno.stdout, { message: `${name} listens`, hostname, port }),
    }, make(environment));
    for (const signal of ["SIGTERM", "SIGINT"] as const) Deno.addSignalListener(signal, () => void end(server));
  } catch (error) {
    say(Deno.stderr, { message: `${name} does not start`, error: reasonOf(error) });
    Deno.exit(1);
  }
}

async function end(server: Deno.HttpServer): Promise<void> {
  await server.shutdown();
  Deno.exit(0);
}

function say(stream: { writeSync(bytes: Uint8Array): number }, line: Record<string, unknown>): void {
  stream.writeSync(new TextEncoder().encode(`${JSON.stringify(line)}\n`));
}

/** Why something failed, with its causes: `fetch` hides there what happened. */
export function reasonOf(error: unknown): string {
  if (!(error instanceof Error)) return String(error);
  return error.cause === undefined ? error.message : `${error.message}: ${reasonOf(error.cause)}`;
}
