import assert from "node:assert/strict";
import { told } from "../../demo/access_log.ts";
import { refused } from "../../demo/cast.ts";
import { said } from "../../demo/kubectl.ts";
import { draw, steady } from "../../demo/recording.ts";
import { Screen, wrap } from "../../demo/screen.ts";
import { Story } from "../../demo/story.ts";

function screen(terminal: boolean): { screen: Screen; text: () => string } {
  let text = "";
  return { screen: new Screen({ write: (more) => text += more, terminal }), text: () => text };
}

async function tell(story: Story): Promise<void> {
  story.chapter("A chapter");
  await story.step("does this", "sees that", () => {
    story.log("a record");
    return Promise.resolve(["that", "and more"]);
  });
  await story.step("does more", "sees more", () => Promise.reject(new Error("something else")));
}

Deno.test("Story tells what was done, expected and seen, and counts what did not hold", async () => {
  const { screen: paper, text } = screen(false);
  const story = new Story(paper, { steps: 2 });
  await tell(story);
  assert.equal(
    text().replace(/\d\.\d s/, "0.0 s"),
    `
A chapter

 1/2 does this
      expected sees that
      log      a record
      saw      that
               and more
      ✓ 0.0 s

 2/2 does more
      expected sees more
      saw      something else
      ✗ not as expected
`,
  );
  assert.deepEqual([story.failed, story.told.length], [1, 2]);
});

Deno.test("Screen has colours and a changing line on a terminal only, and is silent once muted", async (t) => {
  await t.step("terminal", async () => {
    const { screen: tty, text } = screen(true);
    await tell(new Story(tty, { steps: 2 }));
    assert.ok(text().includes("\x1b[1mA chapter\x1b[0m\n"));
    tty.progress("building");
    await new Promise((resolve) => setTimeout(resolve, 300));
    tty.write("a line\n");
    assert.match(text().replaceAll("\x1b", "^"), /\r\^\[K\^\[2m\S 0 s {2}building\^\[0m\r\^\[Ka line\n$/);
    tty.mute();
    const before = text();
    tty.write("x");
    tty.progress("x");
    assert.equal(text(), before);
  });
  await t.step("file", () => {
    const { screen: file, text } = screen(false);
    file.busy("nothing");
    file.progress("building");
    file.idle();
    assert.equal(text(), "building\n");
  });
});

Deno.test("wrap() breaks at 96 columns, too long words as well", () => {
  const lines = wrap(`${"word ".repeat(40)}${"x".repeat(200)}`, 10).split("\n");
  assert.ok(lines.every((line, i) => (i === 0 ? line.length + 10 : line.length) <= 96), lines.join("\n"));
  assert.equal(lines.map((line) => line.trim()).join("").match(/x/g)!.length, 200);
});

Deno.test("draw() gives the same for two runs that differ in times, addresses and made-up names", () => {
  const step = (text: string) => [{
    chapter: "A <chapter>",
    done: "does this",
    expected: "that",
    lines: [{ label: "saw" as const, text }],
    held: true,
  }];
  const one = draw(step("data-spacer-8fbdf65ff-9grxn at 10.1.2.3:8080 after 11 s, repaired within 0.2 s"));
  const two = draw(step("data-spacer-7d9c4d5bb8-aaaaa at 10.44.0.17:8080 after 9 s, repaired within 1.4 s"));
  assert.equal(one, two);
  assert.ok(one.includes("A &lt;chapter&gt;"));
  assert.equal(steady("port 8080, 503 UF, 8 patients"), "port 8080, 503 UF, 8 patients");
});

Deno.test("said() and refused() leave the words that a consumer reads", async (t) => {
  await t.step("webhook", () => {
    const stderr =
      'Error from server: error when creating "STDIN": admission webhook "pod-rules.x" denied the request: no root\n';
    assert.equal(refused(said(stderr), "pod-rules.x"), "pod-rules.x: no root");
  });
  await t.step("policy", () => {
    const stderr = `Warning: old\nError from server (Forbidden): configmaps "a" is forbidden: ` +
      `ValidatingAdmissionPolicy 'exec.x' with binding 'exec.x' denied request: not yours\n`;
    assert.equal(refused(said(stderr), "exec.x"), "exec.x: not yours");
  });
  await t.step("not refused, or by somebody else", () => {
    assert.throws(() => refused(undefined, "exec.x"), /it was not refused/);
    assert.throws(() => refused("quota exceeded", "exec.x"), /quota exceeded/);
  });
});

Deno.test("told() has the consumer's name, what was asked for and how it ended", () => {
  const common = {
    time: "2026-01-01T00:00:00.000Z",
    type: "DownstreamEnd",
    consumer: "pharma",
    pod: "pharma-app",
    destination: "10.0.0.1:8080",
    direction: "outbound" as const,
  };
  const http = { ...common, chain: "http", method: "GET", host: "a:8080", path: "/b", status: 200, flags: "-" };
  assert.equal(told(http), "consumer=pharma pod=pharma-app outbound GET a:8080/b: 200 (10.0.0.1:8080)");
  const tls = { ...common, chain: "tls", sni: "b", flags: "UF,URX" };
  assert.equal(told(tls), "consumer=pharma pod=pharma-app outbound tls b: UF,URX (10.0.0.1:8080)");
});
