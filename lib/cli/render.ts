import { desired, objectTemplates } from "../core/desired_state.ts";
import { joinDocuments, withValue } from "./documents.ts";
import { namespacesIn, readFiles } from "./files.ts";
import { offlinePolicies } from "./offline_policies.ts";
import { withExampleResolvers } from "./offline_settings.ts";
import { readCommandLine } from "./options.ts";
import { printable, UsageError, type Verb } from "./verb.ts";

const usage = {
  usage: "data-spacer render -f FILE [FLAGS]",
  flags: {
    filename: {
      value: "FILE",
      short: "f",
      help: "YAML or JSON with Namespaces to read, once or more often; - is standard input",
    },
  },
} as const;

/** `render -f FILE`: the objects that would be kept in each offloaded Namespace of a stream. */
export const run: Verb = async (args, process) => {
  const line = readCommandLine(args, process, usage);
  if (line === undefined) return 0;
  const { filename: files } = line.own;
  if (files.length === 0) throw new UsageError("Cannot render: -f FILE is missing; - reads standard input");
  const documents = await readFiles(files, process);
  const namespaces = documents.flatMap(({ value }) => namespacesIn(value));
  const settings = withExampleResolvers(line.settings, process);
  const templates = objectTemplates(settings);
  const policies = offlinePolicies(namespaces, settings, "");
  for (const warning of policies.warnings) process.err(`${printable(warning)}\n`);
  const format = documents.length > 0 && documents.every((document) => document.format === "json") ? "json" : "yaml";
  const objects = namespaces.flatMap((ns) => desired(policies.of(ns.metadata?.name ?? ""), templates));
  if (objects.length === 0) {
    process.err(
      "Note: nothing to keep: the stream holds no offloaded Namespace, or only such as opt out of everything\n",
    );
  }
  process.out(
    joinDocuments(objects.map(({ body }) => withValue({ text: "", value: undefined, format }, JSON.parse(body)))),
  );
  return 0;
};
