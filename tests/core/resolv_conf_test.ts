import assert from "node:assert/strict";
import { nameservers } from "../../lib/core/resolv_conf.ts";

Deno.test("nameservers() reads what resolv.conf names, once each, and passes over the rest", () => {
  const text = [
    "# nameserver 192.0.2.1",
    "; nameserver 192.0.2.2",
    "search trial.svc.cluster.local",
    "nameserver 10.96.0.10",
    "nameserver\tfd00::a%eth0  # dual stack",
    "nameserver 10.96.0.10",
    "options ndots:5",
    "nameserver",
    "nameserver dns.example.com",
  ].join("\n");
  assert.deepEqual(nameservers(text), ["10.96.0.10", "fd00::a"]);
  assert.deepEqual(nameservers(""), []);
});
