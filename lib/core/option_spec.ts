import type * as v from "valibot";

/** One setting on the command line and in the environment. */
export interface OptionSpec<T> {
  /** Flag without the dashes. */
  flag: string;
  /** Environment variable that gives the same. */
  env: string;
  /** Placeholder of the value in the help text. */
  value: string;
  /** What the flag means without a value; absent: it needs one. */
  alone?: string;
  /** Default as text; absent: none. */
  default?: string;
  /** One line of help. */
  help: string;
  /** From text to value; its issue messages say what would be right. */
  schema: v.GenericSchema<string, T>;
}

/** A table entry, typed by what its schema makes. */
export function option<T>(spec: OptionSpec<T>): OptionSpec<T> {
  return spec;
}
