import { UsageError, type Verb } from "../../lib/cli/verb.ts";

/** What surrounds a verb in a test. */
export interface Surroundings {
  env?: Record<string, string>;
  /** Files by name; `-` is standard input. */
  files?: Record<string, string>;
  terminal?: boolean;
}

/** What became of a verb. */
export interface Outcome {
  code: number;
  stdout: string;
  stderr: string;
}

/** Runs a verb as main.ts does, in memory. */
export async function runVerb(run: Verb, args: string[], around: Surroundings = {}): Promise<Outcome> {
  const outcome = { code: 0, stdout: "", stderr: "" };
  const process = {
    env: (name: string) => around.env?.[name],
    out: (text: string) => void (outcome.stdout += text),
    err: (text: string) => void (outcome.stderr += text),
    terminal: around.terminal ?? false,
    read: (file: string) => {
      const text = around.files?.[file];
      return text === undefined ? Promise.reject(new Error("No such file")) : Promise.resolve(text);
    },
  };
  try {
    outcome.code = await run(args, process);
  } catch (error) {
    if (!(error instanceof UsageError)) throw error;
    outcome.stderr += `${error.message}\n`;
    outcome.code = 2;
  }
  return outcome;
}
