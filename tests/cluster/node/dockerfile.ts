/** What the last stage of a Dockerfile, or a named one, makes of its base. */
export interface Stage {
  /** Whom USER names. */
  user?: string;
  /** Variables by ENV. */
  env: Record<string, string>;
  /** Folder by WORKDIR. */
  workingDir?: string;
  /** List by ENTRYPOINT. */
  entrypoint?: string[];
  /** Files from the context, by COPY: those of other stages are left out. */
  copies: { from: string; to: string }[];
}

/**
 * Reads one stage of a Dockerfile, as far as ours go: each instruction on one line, one source a COPY.
 *
 * @throws {Error} where there is no such stage.
 */
export function readStage(text: string, name?: string): Stage {
  const stages = text.split(/^FROM .*$/m).slice(1);
  const names = [...text.matchAll(/^FROM \S+(?: AS (\S+))?$/gm)].map((match) => match[1]);
  const body = name === undefined ? stages.at(-1) : stages[names.indexOf(name)];
  if (body === undefined) throw new Error(`Cannot read the Dockerfile: it has no stage ${name ?? ""}`);
  const stage: Stage = { env: {}, copies: [] };
  for (const [, instruction, value = ""] of body.matchAll(/^([A-Z]+) (.*)$/gm)) {
    if (instruction === "USER") stage.user = value;
    if (instruction === "WORKDIR") stage.workingDir = value;
    if (instruction === "ENTRYPOINT") stage.entrypoint = JSON.parse(value);
    if (instruction === "ENV") {
      const [variable, ...rest] = value.split("=");
      stage.env[variable!] = rest.join("=");
    }
    if (instruction === "COPY" && !value.startsWith("--")) {
      const [from = "", to = ""] = value.split(" ");
      const file = to.endsWith("/") ? to + from.replace(/^.*\//, "") : to;
      stage.copies.push({ from, to: file.startsWith("/") ? file : `${stage.workingDir ?? ""}/${file}` });
    }
  }
  return stage;
}
