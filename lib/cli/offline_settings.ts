import type { Settings } from "../core/settings.ts";
import type { Process } from "./verb.ts";

/** Where no cluster says what its DNS is: the address that kubeadm gives it. */
const EXAMPLE_RESOLVER = "10.96.0.10";

/** Settings with resolvers, said on standard error where they are an example. */
export function withExampleResolvers(settings: Settings, process: Process): Settings {
  if (settings.resolvers.length > 0) return settings;
  process.err(`Note: --resolvers is missing; ${EXAMPLE_RESOLVER} stands for the cluster's DNS\n`);
  return { ...settings, resolvers: [EXAMPLE_RESOLVER] };
}
