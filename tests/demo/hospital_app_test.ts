import assert from "node:assert/strict";
import { hospital, patients } from "../../demo/hospital-app/main.ts";

async function ask(path: string, init: RequestInit = {}): Promise<{ status: number; body: unknown }> {
  const response = await hospital(new Request(`http://hospital${path}`, init));
  return { status: response.status, body: await response.json() };
}

Deno.test("hospital-app tells all patients, and one of them", async () => {
  assert.deepEqual(await ask("/patients"), { status: 200, body: patients });
  assert.ok(patients.length > 3);
  for (const patient of patients) {
    assert.deepEqual(await ask(`/patients/${patient.id}`), { status: 200, body: patient });
  }
  assert.deepEqual(await ask("/healthz"), { status: 200, body: { ok: true } });
});

Deno.test("hospital-app says what would be right", async (t) => {
  const cases: [string, RequestInit, number, string][] = [
    ["/patients/99", {}, 404, 'Cannot find patient "99": the id must be a number from 1 to 8'],
    ["/patients/01", {}, 404, 'Cannot find patient "01": the id must be a number from 1 to 8'],
    ["/patients/", {}, 404, "Cannot find /patients/: the path must be one of /patients, /patients/:id, /healthz"],
    ["/", {}, 404, "Cannot find /: the path must be one of /patients, /patients/:id, /healthz"],
    ["/patients", { method: "DELETE" }, 405, "Cannot DELETE /patients: the method must be GET"],
  ];
  for (const [path, init, status, error] of cases) {
    await t.step(
      `${init.method ?? "GET"} ${path}`,
      async () => assert.deepEqual(await ask(path, init), { status, body: { error } }),
    );
  }
});
