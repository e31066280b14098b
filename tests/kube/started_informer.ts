import assert from "node:assert/strict";
import type { ConfigMap } from "kubernetes-types/core/v1.d.ts";
import { type Change, Informer, type InformerOptions } from "../../lib/kube/informer.ts";
import { resources } from "../../lib/kube/resources.ts";
import { sleep } from "../../lib/kube/time.ts";
import { type Call, event, object, type ScriptedServer, status, stream } from "./scripted_server.ts";

export const PATH = "/api/v1/configmaps";

/** What tests remember of a ConfigMap. */
export type Value = string;

/** A list call; the answer is a page, or anything else. */
export function listCall(answer: Call["answer"], token: string | null = null): Call {
  return { path: PATH, query: { watch: null, limit: "250", continue: token }, answer };
}

/** A watch call that must go on from `resourceVersion`. */
export function watchCall(resourceVersion: string, answer: Call["answer"]): Call {
  return { path: PATH, query: { watch: "true", allowWatchBookmarks: "true", resourceVersion }, answer };
}

export const hang = (...pieces: (string | Uint8Array)[]): Call["answer"] => () => stream(pieces, "hang");
export const expired = () => status(410, "Expired", "too old resource version");
export const bookmark = (resourceVersion: string): string => event("BOOKMARK", { metadata: { resourceVersion } });

/** An informer on a scripted server, and all that it did. */
export function start(server: ScriptedServer, options: Partial<InformerOptions<Value, ConfigMap>> = {}) {
  const changes: string[] = [], restarts: string[] = [], logs: string[] = [], waits: number[] = [];
  const clock = { ms: 0 };
  const log = (message: string): void => void logs.push(message);
  const client = server.client();
  const informer = new Informer<Value, ConfigMap>({
    client,
    resource: resources.ConfigMap,
    project: (object) => object.data?.k ?? "-",
    log: { debug: () => {}, warn: log, error: log },
    now: () => clock.ms,
    // Waits of the backoff end at once; the guard against stalls waits until the watch ends.
    sleep: (ms, signal) => {
      if (ms >= 100_000) return sleep(2 ** 30, signal);
      waits.push(ms);
      return new Promise((resolve) => setTimeout(resolve, 0));
    },
    random: () => 0,
    onRestart: (reason) => restarts.push(reason),
    ...options,
  });
  informer.subscribe(({ type, key, value, old }: Change<Value>) => {
    changes.push(`${type} ${key} ${old === undefined ? "" : `${old}->`}${value}`);
  });
  const controller = new AbortController();
  const running = informer.run(controller.signal);
  return {
    informer,
    changes,
    restarts,
    logs,
    waits,
    clock,
    controller,
    running,
    /** Waits until `count` changes were seen and the script has run to its end. */
    async seen(count: number): Promise<void> {
      await server.finished();
      const deadline = Date.now() + 2_000;
      while (changes.length < count && Date.now() < deadline) await sleep(1);
      assert.equal(changes.length, count, changes.join("\n"));
    },
    async [Symbol.asyncDispose](): Promise<void> {
      controller.abort();
      await running;
      client[Symbol.dispose]();
    },
  };
}

export const a1 = object("a", "1", { k: "one" });
export const a2 = object("a", "6", { k: "two" });
export const b = object("b", "2", { k: "bee" });
