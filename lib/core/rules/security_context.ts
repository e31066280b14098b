import type { Container, PodSecurityContext, SecurityContext } from "kubernetes-types/core/v1.d.ts";
import type { NamespacePolicy, Profile } from "../namespace_policy.ts";
import { pathOf } from "../tenant_containers.ts";
import type { Rule, RuleContext } from "./rule.ts";

/** A field of the security context: what it is set to where nothing is said, and what it may say. One predicate for both. */
interface SecurityField {
  id: string;
  row: string;
  field: keyof SecurityContext;
  /** The pod's own security context speaks for a silent container. */
  inherits: boolean;
  /** What a silent container gets; undefined: it stays silent. */
  fill(policy: NamespacePolicy, effectiveUid: number): unknown;
  /** Whether a value is right. */
  right(value: unknown, context: RuleContext): boolean;
  /** What would be right, in the consumer's words. */
  must(context: RuleContext): string;
}

const ROOT_CAPABILITIES = ["CHOWN", "DAC_OVERRIDE", "FOWNER", "FSETID", "KILL", "NET_BIND_SERVICE"];

/** Capabilities that a container may add, by profile. `observed` gives up the redirect's strength for images that drop root themselves. */
export const allowedCapabilities: Readonly<Record<Profile, readonly string[]>> = {
  restricted: ["NET_BIND_SERVICE"],
  root: ROOT_CAPABILITIES,
  observed: [...ROOT_CAPABILITIES, "SETGID", "SETUID"],
};

const securityFields: readonly SecurityField[] = [
  {
    id: "run-as-user",
    row: "8",
    field: "runAsUser",
    inherits: true,
    fill: (policy) => policy.runAsUser,
    right: (uid, { policy, proxyUid }) =>
      typeof uid === "number" && uid !== proxyUid && (uid !== 0 || policy.profile !== "restricted"),
    must: ({ policy, proxyUid }) =>
      `must be a user id other than ${policy.profile === "restricted" ? "0 (root) and " : ""}${proxyUid}`,
  },
  {
    id: "run-as-non-root",
    row: "8",
    field: "runAsNonRoot",
    inherits: true,
    fill: (_policy, effectiveUid) => effectiveUid === 0 ? undefined : true,
    right: (value, { policy }) => value === true || policy.profile !== "restricted",
    must: () => "must be true",
  },
  {
    id: "privilege-escalation",
    row: "10",
    field: "allowPrivilegeEscalation",
    inherits: false,
    fill: () => false,
    right: (value) => value === false,
    must: () => "must be false",
  },
  {
    id: "privileged",
    row: "9",
    field: "privileged",
    inherits: false,
    fill: () => undefined,
    right: (value) => value === undefined || value === false,
    must: () => "must be false",
  },
  {
    id: "capabilities",
    row: "6, 7, 9",
    field: "capabilities",
    inherits: false,
    fill: () => ({ drop: ["ALL"] }),
    right: (value, { policy }) => {
      const { add, drop } = (value ?? {}) as NonNullable<SecurityContext["capabilities"]>;
      return (drop ?? []).includes("ALL") &&
        (add ?? []).every((name) => allowedCapabilities[policy.profile].includes(name));
    },
    must: ({ policy }) => `must add none but ${allowedCapabilities[policy.profile].join(", ")}, and drop ALL`,
  },
  {
    id: "seccomp",
    row: "AF_VSOCK, io_uring",
    field: "seccompProfile",
    inherits: true,
    fill: () => ({ type: "RuntimeDefault" }),
    right: (value) => (value as SecurityContext["seccompProfile"])?.type === "RuntimeDefault",
    must: () => "must be of type RuntimeDefault",
  },
];

function effective(field: SecurityField, container: Container, pod: PodSecurityContext | undefined): unknown {
  const own = container.securityContext?.[field.field] ?? undefined;
  return own ?? (field.inherits ? pod?.[field.field as keyof PodSecurityContext] ?? undefined : undefined);
}

/**
 * What a container's security context lacks: what neither it nor the pod says, and, where it names capabilities, the drop of all others. Nothing
 * that is said is replaced.
 */
export function missingSecurity(
  container: Container,
  pod: PodSecurityContext | undefined,
  policy: NamespacePolicy,
): Partial<SecurityContext> {
  const missing: Record<string, unknown> = {};
  const uid = (container.securityContext?.runAsUser ?? pod?.runAsUser ?? policy.runAsUser) as number;
  for (const field of securityFields) {
    if (effective(field, container, pod) !== undefined) continue;
    const value = field.fill(policy, uid);
    if (value !== undefined) missing[field.field] = value;
  }
  const { capabilities } = container.securityContext ?? {};
  if (capabilities && !(capabilities.drop ?? []).includes("ALL")) {
    missing.capabilities = { ...capabilities, drop: [...(capabilities.drop ?? []), "ALL"] };
  }
  return missing;
}

/** One rule for each field, over all containers of the consumer. */
export const securityContextRules: readonly Rule[] = securityFields.map((field): Rule => ({
  id: field.id,
  row: field.row,
  check: (pod, context) =>
    context.containers
      .filter(({ container }) => !field.right(effective(field, container, pod.spec?.securityContext), context))
      .map((located) => ({ field: `${pathOf(located)}.securityContext.${field.field}`, message: field.must(context) })),
}));
