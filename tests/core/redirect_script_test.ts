import assert from "node:assert/strict";
import { redirectArgs, redirectScript, stripComments } from "../../lib/core/redirect_script.ts";

const source = await Deno.readTextFile(new URL("../../lib/assets/redirect.sh", import.meta.url));

Deno.test("stripComments() removes comment lines, blank lines and indentation, and nothing else", () => {
  const text = '#!/bin/sh\n# why\n\nf() {\n  # inner\n  echo "a # b ${x#y}"\n}\n';
  assert.equal(stripComments(text), 'f() {\necho "a # b ${x#y}"\n}\n');
});

Deno.test("stripComments() changes nothing the second time", () => {
  assert.equal(stripComments(redirectScript), redirectScript);
});

Deno.test("redirect.sh fulfils what stripComments() asks of it", async (t) => {
  const lines = source.split("\n");
  await t.step("no comment behind code", () => {
    const trailing = lines.filter((line) => /\s# /.test(line.replace(/^\s*# .*/, "")));
    assert.deepEqual(trailing.filter((line) => !/\$#/.test(line)), []);
  });
  await t.step("every rule follows a comment that gives its reason, or another rule of the same comment", () => {
    const bare: string[] = [];
    lines.forEach((line, i) => {
      // dns() only writes what the comment above its call is about
      if (line.includes("-d $r ")) return;
      if (/^(-A |:[A-Z]+ |\$\((dns|icmp6) )/.test(line) && !/^(#|:|-A )/.test(lines[i - 1]!)) bare.push(line);
    });
    assert.deepEqual(bare, []);
  });
  await t.step("no text in which an indented or commented line would matter", () => {
    assert.equal(source.includes("<<"), false);
  });
});

Deno.test("redirectScript has no comment, and is small enough to be sent with every pod", () => {
  assert.equal(redirectScript.split("\n").some((line) => line.startsWith("#") || /^\s/.test(line)), false);
  assert.ok(redirectScript.length < 5_500, `${redirectScript.length} bytes`);
});

Deno.test("redirectScript parses as sh, and refuses to run without its parameters", async () => {
  const sh = async (...args: string[]) => {
    const { code, stderr } = await new Deno.Command("sh", { args, stdout: "null", stderr: "piped" }).output();
    return { code, err: new TextDecoder().decode(stderr) };
  };
  assert.deepEqual(await sh("-n", "-c", redirectScript), { code: 0, err: "" });
  assert.deepEqual(await sh("-c", redirectScript, "redirect"), { code: 1, err: "redirect: takes 7 parameters\n" });
});

Deno.test("redirectArgs() writes every parameter as key=value", () => {
  const args = redirectArgs({
    proxyUid: 21_337,
    resolvers: ["10.96.0.10", "fd00::a"],
    outboundPort: 1,
    inboundPort: 2,
    healthPort: 3,
    mark: "0xd5",
    backend: "nft",
  });
  assert.deepEqual(args, [
    "redirect",
    "proxy-uid=21337",
    "resolvers=10.96.0.10,fd00::a",
    "outbound-port=1",
    "inbound-port=2",
    "health-port=3",
    "mark=0xd5",
    "backend=nft",
  ]);
});
