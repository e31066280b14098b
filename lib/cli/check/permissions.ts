import { ownedNames } from "../../core/desired_state.ts";
import { objects } from "../../core/names.ts";
import type { Settings } from "../../core/settings.ts";

/** What our ServiceAccount may do, as a rule of a Role or ClusterRole. A test compares these with `deploy/`. */
export interface Permission {
  /** `""`: the core group. */
  apiGroup: string;
  /** With its subresource, such as `pods/eviction`. */
  resource: string;
  verbs: readonly string[];
  /** Only the object of this name; absent: any. */
  name?: string;
  /** `all` namespaces (or no namespace at all), our `own` one, or the one named. */
  scope: "all" | "own" | "default";
}

/** Rights that every installation needs. */
export const basePermissions: readonly Permission[] = [
  { apiGroup: "", resource: "namespaces", verbs: ["get", "list", "watch"], scope: "all" },
  {
    apiGroup: "",
    resource: "configmaps",
    name: ownedNames.ConfigMap,
    verbs: ["get", "list", "watch", "create", "patch", "update", "delete"],
    scope: "all",
  },
  {
    apiGroup: "networking.k8s.io",
    resource: "networkpolicies",
    name: ownedNames.NetworkPolicy,
    verbs: ["get", "list", "watch", "create", "patch", "update", "delete"],
    scope: "all",
  },
  { apiGroup: "", resource: "pods", verbs: ["list"], scope: "all" },
  { apiGroup: "coordination.k8s.io", resource: "leases", verbs: ["create"], scope: "own" },
  { apiGroup: "coordination.k8s.io", resource: "leases", name: objects.lease, verbs: ["get", "update"], scope: "own" },
  { apiGroup: "", resource: "configmaps", verbs: ["create"], scope: "own" },
  {
    apiGroup: "",
    resource: "configmaps",
    name: objects.contract,
    verbs: ["get", "list", "watch", "update"],
    scope: "own",
  },
  { apiGroup: "", resource: "events", verbs: ["get", "create", "patch"], scope: "default" },
];

/** Rights that keeping our own CA takes; with a mounted certificate they are not needed. */
export const certificatePermissions = ({ webhookConfiguration }: Pick<Settings, "webhookConfiguration">) =>
  [
    {
      apiGroup: "admissionregistration.k8s.io",
      resource: "mutatingwebhookconfigurations",
      name: webhookConfiguration,
      verbs: ["get", "list", "watch", "patch"],
      scope: "all",
    },
    { apiGroup: "", resource: "secrets", verbs: ["create"], scope: "own" },
    {
      apiGroup: "",
      resource: "secrets",
      name: objects.caSecret,
      verbs: ["get", "list", "watch", "update"],
      scope: "own",
    },
  ] as const satisfies Permission[];

/** Rights that `--recreate-uninjected` takes. */
export const recreatePermissions: Readonly<Record<Settings["recreateUninjected"], readonly Permission[]>> = {
  none: [],
  controlled: [{ apiGroup: "", resource: "pods/eviction", verbs: ["create"], scope: "all" }],
  all: [
    { apiGroup: "", resource: "pods/eviction", verbs: ["create"], scope: "all" },
    { apiGroup: "", resource: "pods", verbs: ["delete"], scope: "all" },
  ],
};

/** All rights that an installation with these settings needs. */
export function permissionsFor(
  settings: Pick<Settings, "webhookConfiguration" | "tlsCertFile" | "recreateUninjected">,
): Permission[] {
  return [
    ...basePermissions,
    ...(settings.tlsCertFile === undefined ? certificatePermissions(settings) : []),
    ...recreatePermissions[settings.recreateUninjected],
  ];
}
