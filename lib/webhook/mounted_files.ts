import { dirname } from "node:path";
import { type Sleep, sleep as realSleep } from "../kube/time.ts";
import type { Log } from "../ops/log.ts";
import { type CertificateSource, checkPair, type KeyPair } from "./certificate_source.ts";

/** What {@linkcode MountedFiles} needs. */
export interface MountedFilesDeps {
  /** Certificate chain, PEM. */
  certFile: string;
  /** Private key, PEM. */
  keyFile: string;
  /** The host name that API servers call; the certificate must be for it. */
  host: string;
  log: Log;
  /** Wall clock, ms since 1970. */
  now?: () => number;
  /** How often to look without being told, ms; 10 s if absent. */
  pollMs?: number;
  sleep?: Sleep;
}

/** A volume's files change one after the other: wait for the last, ms. */
const SETTLE_MS = 100;

/**
 * A certificate that somebody else renews, such as cert-manager, in files. Their folders are watched, and looked at regularly,
 * since a watch may miss the kubelet's swap of symbolic links. Files that cannot be used are reported, and the pair
 * before goes on.
 */
export class MountedFiles implements CertificateSource {
  readonly #deps: MountedFilesDeps;
  #used: KeyPair | undefined;
  /** What the last look found, to report each fault once. */
  #seen: string | undefined;

  constructor(deps: MountedFilesDeps) {
    this.#deps = deps;
  }

  /** See {@linkcode CertificateSource}. */
  async *pairs(signal: AbortSignal): AsyncGenerator<KeyPair> {
    const { pollMs = 10_000, sleep = realSleep } = this.#deps;
    using watcher = this.#watch();
    while (!signal.aborted) {
      const changed = watcher.changed();
      const pair = await this.#look();
      if (pair) yield pair;
      await sleep(pollMs, AbortSignal.any([signal, changed])).catch(() => {}); // or told
      await sleep(SETTLE_MS, signal).catch(() => {}); // the loop sees the signal
    }
  }

  /** The pair in the files, if it is another than the one in use and can be used. */
  async #look(): Promise<KeyPair | undefined> {
    const { certFile, keyFile, host, log, now = Date.now } = this.#deps;
    try {
      const cert = await Deno.readTextFile(certFile);
      const key = await Deno.readTextFile(keyFile);
      if (this.#used?.cert === cert && this.#used.key === key) return undefined;
      const pair = checkPair(cert, key, { host, nowMs: now() });
      log.info("Read certificate", { certFile, notAfter: new Date(pair.notAfter).toISOString() });
      this.#seen = undefined;
      return this.#used = pair;
    } catch (error) {
      const seen = String(error);
      if (seen !== this.#seen) {
        log.error("Cannot use mounted certificate", { certFile, keyFile, error, kept: !!this.#used });
      }
      this.#seen = seen;
      return undefined;
    }
  }

  /** Watches the folders, or nothing where that cannot be done. */
  #watch(): Disposable & { /** Fires on the next change. */ changed(): AbortSignal } {
    const { certFile, keyFile, log } = this.#deps;
    let changed = new AbortController();
    let watcher: Deno.FsWatcher | undefined;
    try {
      watcher = Deno.watchFs([...new Set([dirname(certFile), dirname(keyFile)])], { recursive: false });
      follow(watcher, () => changed.abort());
    } catch (error) {
      log.warn("Cannot watch mounted certificate, will only look regularly", { certFile, error });
    }
    return {
      changed: () => {
        if (changed.signal.aborted) changed = new AbortController();
        return changed.signal;
      },
      [Symbol.dispose]: () => watcher?.close(),
    };
  }
}

async function follow(watcher: Deno.FsWatcher, changed: () => void): Promise<void> {
  try {
    for await (const event of watcher) if (event.kind !== "access") changed(); // our own reading is no news
  } catch {
    // The folder has gone: looking regularly finds what comes after it.
  }
}
