import assert from "node:assert/strict";
import { patients } from "../../demo/hospital-app/main.ts";
import { aggregate } from "../../demo/pharma-app/main.ts";
import { APP_PORT, startApp } from "./apps.ts";
import type { AccessRecord } from "../support/access_record.ts";
import { addresses, type Backend, forbidden, World } from "./pods.ts";
import { missing } from "./tools.ts";

/** Every field of a record of HTTP. */
const FIELDS = [
  ...["time", "type", "direction", "chain", "source", "destination", "protocol", "method", "host", "path", "status"],
  ...["flags", "details", "bytes_up", "bytes_down", "headers_up", "headers_down", "duration_ms"],
  ...["consumer", "claimed_consumer", "namespace", "pod"],
].sort();

/** What a pod's records of one direction say, in the order of the requests; times, ports and sizes of heads are looked at apart. */
function told(records: readonly AccessRecord[], direction: "inbound" | "outbound"): Partial<AccessRecord>[] {
  const mine = records.filter((record) => record.direction === direction);
  for (const record of mine) {
    assert.deepEqual(Object.keys(record).sort(), FIELDS);
    assert.match(String(record.time), /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$/);
    const age = Date.now() - Date.parse(String(record.time));
    assert.ok(age >= 0 && age < 60_000, `a record of ${record.time}`);
    const { duration_ms, headers_up, headers_down } = record;
    assert.ok(Number(duration_ms) >= 0 && Number(duration_ms) < 10_000, `duration ${duration_ms} ms`);
    assert.ok(Number(headers_up) > 20 && Number(headers_down) > 20, `heads of ${headers_up} and ${headers_down} bytes`);
  }
  return mine.map(({ time: _, duration_ms: _d, headers_up: _u, headers_down: _h, ...rest }) => ({
    ...rest,
    source: String(rest.source).replace(/:\d+$/, ""),
  }));
}

/** Registers the demo's story on the real proxy: a program of the consumer reads the provider's data, and each request is recorded at both ends. */
export function demoApps(backend: Backend): void {
  Deno.test(
    {
      name: `pharma-app reads hospital-app through both proxies, and each request is recorded at both (${backend})`,
      ignore: missing !== undefined,
    },
    async (t) => {
      await using world = await World.create(backend);
      const { a, b, outside } = world;
      await using _hospital = await startApp(b, "hospital-app");
      await using _pharma = await startApp(a, "pharma-app", { HOSPITAL_URL: `http://${b.v4}:${APP_PORT}` });

      /** Asks pharma-app, from outside of both pods, for these paths; gives the answers and what both proxies recorded. */
      const ask = async (family: 0 | 1, paths: string[], recordsAtHospital = paths.length) => {
        const requests = () =>
          outside.call("http_get_each", {
            to: addresses.a[family],
            port: APP_PORT,
            paths,
            bind: addresses.outside[family],
          }) as Promise<
            { status: number; body: string }[]
          >;
        // One watch within the other: both count from before the first request.
        const atB = await b.watch(() => a.watch(requests, { expected: 2 * paths.length, settle: 150 }), {
          expected: recordsAtHospital,
        });
        const { result: answers, records, frames } = atB.result;
        assert.deepEqual(forbidden(frames), []);
        assert.deepEqual(forbidden(atB.frames), []);
        return {
          answers,
          asked: told(records, "inbound"),
          sent: told(records, "outbound"),
          got: told(atB.records, "inbound"),
          all: [records, atB.records],
        };
      };

      for (const family of [0, 1] as const) {
        const version = `IPv${family === 0 ? 4 : 6}`;
        const written = (address: string) => family === 0 ? address : `[${address}]`;
        const [OUTSIDE, A, B] = [addresses.outside[family], addresses.a[family], addresses.b[family]].map(written);
        const of = (pod: string) => ({
          consumer: "pharma",
          claimed_consumer: "pharma",
          namespace: "trial-pharma",
          pod,
          type: "DownstreamEnd",
          chain: "http",
          protocol: "HTTP/1.1",
          method: "GET",
          flags: "-",
          details: "via_upstream",
          bytes_up: 0,
        });

        await t.step(
          `20 requests of /simulate, ${version}: 20 records where they come in, go out and arrive`,
          async () => {
            const read = Array.from({ length: 20 }, (_, i) => patients[i % patients.length]!);
            const target = (id: number) => `http://${B}:${APP_PORT}/patients/${id}`;
            const paths = read.map(({ id }) => `/simulate?url=${encodeURIComponent(`${target(id)}?secret=${id}`)}`);
            const { answers, asked, sent, got, all } = await ask(family, paths);
            for (const [i, { status, body }] of answers.entries()) {
              assert.equal(status, 200);
              assert.deepEqual(JSON.parse(JSON.parse(body).body), read[i], "the patient as the hospital has it");
            }
            assert.deepEqual(
              asked,
              answers.map(({ body }) => ({
                ...of("pod-a"),
                direction: "inbound",
                source: OUTSIDE,
                destination: `${A}:${APP_PORT}`,
                host: `${A}:${APP_PORT}`,
                path: "/simulate",
                status: 200,
                bytes_down: body.length,
              })),
            );
            const patient = (pod: string, direction: string) => ({ id, ...rest }: typeof read[0]) => ({
              ...of(pod),
              direction,
              source: A,
              destination: `${B}:${APP_PORT}`,
              host: `${B}:${APP_PORT}`,
              path: `/patients/${id}`,
              status: 200,
              bytes_down: JSON.stringify({ id, ...rest }).length,
            });
            assert.deepEqual(sent, read.map(patient("pod-a", "outbound")));
            assert.deepEqual(got, read.map(patient("pod-b", "inbound")));
            assert.deepEqual(all.map(({ length }) => length), [40, 20], "no record of another type");
            assert.doesNotMatch(JSON.stringify(all), /secret/, "a query is recorded");
          },
        );

        await t.step(`what is not there, and where nobody listens, ${version}`, async () => {
          const urls = [`http://${B}:${APP_PORT}/patients/99`, `http://${B}:8099/`];
          const paths = urls.map((url) => `/simulate?url=${encodeURIComponent(url)}`);
          const { answers, asked, sent, got } = await ask(family, paths, 1);
          assert.deepEqual(answers.map(({ body }) => JSON.parse(body).status), [404, 503]);
          assert.deepEqual(asked.map(({ status }) => status), [200, 200]);
          assert.deepEqual(sent.map(({ status, destination, flags }) => [status, destination, flags]), [
            [404, `${B}:${APP_PORT}`, "-"],
            [503, `${B}:8099`, "UF"],
          ]);
          assert.deepEqual(got.map(({ status, path }) => [status, path]), [[404, "/patients/99"]]);
        });
      }

      await t.step("5 requests of /processed-data: the aggregate, and 5 records of /patients at each end", async () => {
        const { answers, asked, sent, got } = await ask(0, Array(5).fill("/processed-data"));
        const expected = aggregate(new URL(`http://${b.v4}:${APP_PORT}/patients`), patients);
        for (const { status, body } of answers) assert.deepEqual([status, JSON.parse(body)], [200, expected]);
        const paths = [asked, sent, got].map((records) => records.map(({ path, status }) => `${path} ${status}`));
        const each = (text: string) => Array(5).fill(text);
        assert.deepEqual(paths, [each("/processed-data 200"), each("/patients 200"), each("/patients 200")]);
      });
    },
  );
}
