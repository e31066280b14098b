import assert from "node:assert/strict";
import { listenAt, reasonOf } from "../../demo/app.ts";
import { ROOT } from "../support/tree.ts";

Deno.test("listenAt() reads PORT and HOST, and names the one that is wrong", () => {
  const at = (variables: Record<string, string>) => listenAt((name) => variables[name]);
  assert.deepEqual(at({}), { hostname: "0.0.0.0", port: 8080 });
  assert.deepEqual(at({ PORT: "9000", HOST: "::" }), { hostname: "::", port: 9000 });
  for (const PORT of ["0", "65536", "http", "80.5", "-1", " 80"]) {
    assert.throws(() => at({ PORT }), new RegExp(`PORT must be a number from 1 to 65535, but is "${PORT}"`));
  }
});

Deno.test("reasonOf() tells the causes too", () => {
  assert.equal(reasonOf(new Error("a", { cause: new Error("b", { cause: "c" }) })), "a: b: c");
});

Deno.test("an app that cannot start says so in one line, without a stack", async () => {
  const args = ["run", "--no-prompt", "--allow-net=127.0.0.1", "--allow-env=PORT,HOST,HOSPITAL_URL"];
  const { code, stderr } = await new Deno.Command(Deno.execPath(), {
    args: [...args, `${ROOT}demo/pharma-app/main.ts`],
    env: { HOSPITAL_URL: "hospital" },
  }).output();
  const text = new TextDecoder().decode(stderr);
  assert.equal(code, 1, text);
  assert.match(text, /^\{"message":"pharma-app does not start","error":"Cannot start: HOSPITAL_URL must be .*\n$/);
});
