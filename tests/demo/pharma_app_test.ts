import assert from "node:assert/strict";
import { hospital } from "../../demo/hospital-app/main.ts";
import { aggregate, hospitalUrl, pharma } from "../../demo/pharma-app/main.ts";

/** A server on loopback. */
function serve(handler: Deno.ServeHandler): { url: URL } & AsyncDisposable {
  const server = Deno.serve({ hostname: "127.0.0.1", port: 0, onListen: () => {} }, handler);
  return {
    url: new URL(`http://127.0.0.1:${server.addr.port}`),
    [Symbol.asyncDispose]: () => server.shutdown(),
  };
}

async function ask(app: ReturnType<typeof pharma>, path: string): Promise<{ status: number; body: unknown }> {
  const response = await app(new Request(`http://pharma${path}`));
  return { status: response.status, body: await response.json() };
}

const simulate = (url: unknown) => `/simulate?url=${encodeURIComponent(String(url))}`;
/** Nobody listens there: the kernel gives such ports to none but who asks for them. */
const NOBODY = new URL("http://127.0.0.1:1023");

Deno.test("pharma-app makes an aggregate of the hospital's patients", async () => {
  await using server = serve(hospital);
  const { status, body } = await ask(pharma({ hospital: server.url }), "/processed-data");
  assert.equal(status, 200);
  assert.deepEqual(body, {
    source: `${server.url}patients`,
    patients: 8,
    meanAge: 54.9,
    diagnoses: {
      "atrial fibrillation": 1,
      "heart failure": 2,
      "migraine": 1,
      "type 2 diabetes": 2,
      "asthma": 1,
      "epilepsy": 1,
    },
  });
});

Deno.test("pharma-app makes a request and tells what came of it", async (t) => {
  await using server = serve((request) => {
    const { pathname } = new URL(request.url);
    if (pathname === "/moved") return new Response(null, { status: 302, headers: { location: "/patients" } });
    if (pathname === "/large") return new Response("x".repeat(200_000));
    return hospital(request);
  });
  const app = pharma({ hospital: NOBODY });
  const at = (path: string) => new URL(path, server.url).href;

  await t.step("status and body", async () => {
    const { status, body } = await ask(app, simulate(at("/patients/3")));
    const patient = { id: 3, name: "Cleo Tarn", age: 29, ward: "neurology", diagnosis: "migraine" };
    assert.deepEqual([status, body], [200, {
      url: at("/patients/3"),
      status: 200,
      body: JSON.stringify(patient),
    }]);
  });
  await t.step("an answer that is no success", async () => {
    const { status, body } = await ask(app, simulate(at("/patients/99")));
    assert.deepEqual([status, (body as { status: number }).status], [200, 404]);
  });
  await t.step("a redirect, which it does not follow", async () => {
    assert.deepEqual(await ask(app, simulate(at("/moved"))), {
      status: 200,
      body: { url: at("/moved"), status: 302, body: "" },
    });
  });
  await t.step("as much of a large answer as one wants to see", async () => {
    const { body } = await ask(app, simulate(at("/large")));
    assert.equal((body as { body: string }).body.length, 65_536);
  });
  await t.step("the error, where nobody answers", async () => {
    const { status, body } = await ask(app, simulate(NOBODY));
    assert.equal(status, 502);
    assert.match((body as { error: string }).error, /[Rr]efused/);
  });
});

Deno.test("pharma-app says what is wrong", async (t) => {
  await using server = serve(() => Response.json([{ id: 1 }]));
  const app = pharma({ hospital: server.url });
  const cases: [string, string, RegExp][] = [
    ["/simulate", "400", /^Cannot simulate: url must be one of http or https, but is ""$/],
    [simulate("file:///etc/passwd"), "400", /but is "file:\/\/\/etc\/passwd"$/],
    [simulate("patients"), "400", /but is "patients"$/],
    ["/processed-data", "502", /^Cannot read http:.*\/patients: the answer is no list of patients$/],
    ["/other", "404", /^Cannot find \/other: the path must be one of \/simulate, \/processed-data, \/healthz$/],
  ];
  for (const [path, expected, error] of cases) {
    await t.step(path, async () => {
      const { status, body } = await ask(app, path);
      assert.equal(String(status), expected);
      assert.match((body as { error: string }).error, error);
    });
  }
  await t.step("where the hospital is not there", async () => {
    const { status, body } = await ask(pharma({ hospital: NOBODY }), "/processed-data");
    assert.equal(status, 502);
    assert.match((body as { error: string }).error, /^Cannot read http:\/\/127\.0\.0\.1:1023\/patients: .*[Rr]efused/);
  });
  await t.step("where the hospital refuses", async () => {
    await using refusing = serve(() => Response.json({ error: "no" }, { status: 403 }));
    const { status, body } = await ask(pharma({ hospital: refusing.url }), "/processed-data");
    assert.deepEqual([status, body], [502, {
      error: `Cannot read ${refusing.url}patients: status 403, {"error":"no"}`,
    }]);
  });
  await t.step("where nobody answers in time", async () => {
    const late = Promise.withResolvers<Response>();
    await using silent = serve(() => late.promise);
    const { status, body } = await ask(pharma({ hospital: silent.url, timeoutMs: 20 }), "/processed-data");
    late.resolve(new Response());
    assert.equal(status, 502);
    assert.match((body as { error: string }).error, /due to timeout/);
  });
});

Deno.test("hospitalUrl() wants a URL of http or https", () => {
  assert.equal(hospitalUrl(() => "http://hospital:8080/").href, "http://hospital:8080/");
  for (const text of [undefined, "", "hospital:8080", "ftp://hospital"]) {
    assert.throws(() => hospitalUrl(() => text), /HOSPITAL_URL must be a URL like http:.*, but is "/);
  }
});

Deno.test("aggregate() takes no one and refuses what is no patient", () => {
  assert.deepEqual(aggregate(NOBODY, []), { source: NOBODY.href, patients: 0, meanAge: 0, diagnoses: {} });
  for (const value of [null, {}, [null], [{ age: "1", diagnosis: "x" }]]) {
    assert.throws(() => aggregate(NOBODY, value), /no list of patients/);
  }
});
