import assert from "node:assert/strict";
import { type HandshakeProgress, HandshakeWatcher } from "../../lib/webhook/tls_records.ts";

/** A record of this type with a body of so many bytes, which say "not a record" themselves. */
function record(type: number, length: number, version = 3): number[] {
  return [type, version, 1, length >> 8, length & 255, ...new Array(length).fill(99)];
}

const hello = record(22, 300);
const table: { name: string; bytes: number[]; progress: HandshakeProgress }[] = [
  { name: "nothing", bytes: [], progress: "started" },
  { name: "part of a header", bytes: [22, 3], progress: "started" },
  { name: "a ClientHello", bytes: hello, progress: "started" },
  { name: "a ClientHello and its start again", bytes: [...hello, 22], progress: "started" },
  {
    name: "TLS 1.3: Finished is application data",
    bytes: [...hello, ...record(20, 1), ...record(23, 53)],
    progress: "done",
  },
  { name: "the first byte of it is enough", bytes: [...hello, 23], progress: "done" },
  {
    name: "TLS 1.2: Finished is a handshake record",
    bytes: [...hello, ...record(20, 1), ...record(22, 40)],
    progress: "started",
  },
  { name: "an alert", bytes: [...hello, ...record(21, 2)], progress: "started" },
  { name: "an empty record", bytes: [...record(22, 0), ...hello], progress: "started" },
  { name: "HTTP", bytes: [..."GET / HTTP/1.1"].map((letter) => letter.charCodeAt(0)), progress: "not-tls" },
  { name: "HTTP after a ClientHello", bytes: [...hello, 71, 69, 84], progress: "not-tls" },
  { name: "another protocol's version", bytes: record(22, 10, 2), progress: "not-tls" },
  { name: "a record longer than any may be", bytes: [22, 3, 1, 255, 255], progress: "not-tls" },
];

Deno.test("HandshakeWatcher tells how far a client is, however its bytes are cut", async (t) => {
  for (const { name, bytes, progress } of table) {
    await t.step(name, () => {
      for (const size of [1, 2, 5, 7, 1_000]) {
        const watcher = new HandshakeWatcher();
        let seen: HandshakeProgress = "started";
        for (let at = 0; at < bytes.length; at += size) seen = watcher.push(new Uint8Array(bytes.slice(at, at + size)));
        assert.equal(seen, progress, `in pieces of ${size}`);
      }
    });
  }
});
