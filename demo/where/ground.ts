import type { Screen } from "../screen.ts";
import type { Kubectl } from "../kubectl.ts";
import type { Run } from "../commands.ts";

/** Full references of the images of the story. */
export interface Images {
  controller: string;
  init: string;
  proxy: string;
  hospital: string;
  pharma: string;
}

/** A cluster to tell the story on. Disposed of, it is as if the story had never been told. */
export interface Ground extends AsyncDisposable {
  /** What it is, for a line. */
  readonly title: string;
  readonly kubectl: Kubectl;
  readonly images: Images;
  /** Lines for a shell, after which `kubectl` means this cluster. */
  readonly shell: readonly string[];
  /** Arguments of the demo that remove it when it was kept. */
  readonly clean: string;
  /** Lets it outlive this process. */
  keep(): Promise<void>;
}

/** What a place needs to be made. */
export interface Means {
  screen: Pick<Screen, "progress">;
  run: Run;
  /** Ends the making early. */
  signal: AbortSignal;
}

/** The images under one template, in which NAME stands for what differs. */
export function imagesAt(template: string, proxy: string): Images {
  const named = (name: string) => template.replaceAll("NAME", name);
  return {
    controller: named("data-spacer"),
    init: named("data-spacer-init"),
    proxy,
    hospital: named("hospital-app"),
    pharma: named("pharma-app"),
  };
}

/** Runs a command to its end, its last line shown as progress. @throws {Error} with its last lines, if it failed. */
export async function must(
  { run, screen, signal }: Omit<Means, "signal"> & Partial<Means>,
  command: readonly string[],
  doing: string,
): Promise<string> {
  screen.progress(doing);
  const onLine = (line: string) => {
    if (line.trim() !== "") screen.progress(`${doing}: ${line.trim()}`);
  };
  const { code, stdout, stderr } = await run(command, { onLine, ...(signal ? { signal } : {}) });
  if (code === 0) return stdout.trim();
  const tail = `${stdout}\n${stderr}`.trim().split("\n").slice(-8).join("\n");
  throw new Error(`Cannot go on: "${command.join(" ")}" ended with ${code}:\n${tail}`);
}
