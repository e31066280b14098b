import type { NamespacePolicy } from "../../core/namespace_policy.ts";
import { type Reason, reasons } from "../../core/reasons.ts";
import { type Check, ok, warn } from "./check.ts";
import { count, groups, someNames } from "./names.ts";

/** Namespaces with a finding of one kind that get a line of their own; more are named in one. */
const LISTED = 20;

/** What the labels of offloaded namespaces ask for, and what is wrong with them. */
export const namespaces: Check = {
  id: "offloaded",
  title: "labels of offloaded namespaces",
  where: "always",
  async *run({ survey }) {
    const offloaded = await survey.offloaded();
    const without = (text: string, out: (policy: NamespacePolicy) => boolean) => {
      const names = offloaded.filter(out).map(({ name }) => name);
      return names.length === 0 ? "" : `; without ${text}: ${someNames(names)}`;
    };
    yield ok(
      `There ${offloaded.length === 1 ? "is" : "are"} ${count(offloaded.length, "offloaded namespace")}` +
        without("proxy", ({ proxy }) => !proxy) + without("NetworkPolicy", ({ netpol }) => !netpol),
    );
    const found = offloaded.flatMap(({ name, findings }) => findings.map((finding) => ({ name, ...finding })));
    for (const [reason, all] of groups(found, ({ reason }) => reason)) {
      const { remedy } = reasons[reason as Reason];
      yield* all.slice(0, LISTED).map(({ name, message }) => warn(`Namespace "${name}": ${message}`, remedy));
      const rest = all.slice(LISTED);
      if (rest.length > 0) {
        yield warn(
          `${reason} in ${count(rest.length, "more namespace")}: ${someNames(rest.map(({ name }) => name))}`,
          remedy,
        );
      }
    }
  },
};
