/** What an operator must know: a reason of an Event, of a log line and of a metric. The README's table of events is checked against this. */
export interface ReasonSpec {
  /** Warning: the operator must act. */
  type: "Normal" | "Warning";
  /** When it is given. */
  when: string;
  /** What to do then. */
  remedy: string;
}

/** Every reason that we give. All regard the Namespace, so that the Events lie in `default`, where no consumer can delete them. */
export const reasons = {
  ConsumerMismatch: {
    type: "Warning",
    when: "the namespace's consumer id is not that of the tenant namespace that Liqo names as its origin",
    remedy: "treat the consumer of the tenant namespace as hostile: it claims to be another",
  },
  InvalidLabel: {
    type: "Warning",
    when: "a data-space label has a value that means nothing; the strictest is in force",
    remedy: "correct the label",
  },
  PodSecurityRefusesInjection: {
    type: "Warning",
    when: "Pod Security of the namespace enforces a level that refuses the init container",
    remedy:
      "label the namespace pod-security.kubernetes.io/enforce=privileged; our own rules are stricter for the consumer",
  },
  ObjectTakenOver: {
    type: "Warning",
    when: "an object of our name was there that we had not made; it is ours now",
    remedy: "find out who made it",
  },
  ObjectDrift: {
    type: "Warning",
    when: "somebody else changed or deleted an object of ours; it is repaired",
    remedy: "find out who it was in the API server's audit log",
  },
  PodsUninjected: {
    type: "Warning",
    when: "pods run without the proxy although they should have it",
    remedy: "add the component deploy/components/recreate-uninjected, or delete them",
  },
  PodsWithOtherProxy: {
    type: "Warning",
    when:
      "pods run with a proxy that neither this version nor the one before makes: an older one, or one that the pod made up",
    remedy: "have the consumer make them anew",
  },
  RedirectAdvisory: {
    type: "Warning",
    when: "the namespace has the profile observed, in which a process may take the proxy's user and go around it",
    remedy: "use it only where NetworkPolicy alone is enough, else the profile root or restricted",
  },
  PodRecreated: {
    type: "Normal",
    when: "a pod without the proxy was evicted or deleted, so that it comes back with it",
    remedy: "none",
  },
  RecreationRefused: {
    type: "Warning",
    when: "a pod without the proxy could not be evicted or deleted",
    remedy: "look at the message: most often a PodDisruptionBudget",
  },
  OptedOut: {
    type: "Normal",
    when: "an object of ours was removed because the namespace opts out of it",
    remedy: "none, if you set the label",
  },
  NoLongerOffloaded: {
    type: "Normal",
    when: "objects of ours were removed because the namespace is not offloaded any more",
    remedy: "none, if you removed the label",
  },
} as const satisfies Record<string, ReasonSpec>;

/** A key of `reasons`. */
export type Reason = keyof typeof reasons;

/** Something to report about a namespace. */
export interface Finding {
  /** Why it is reported. */
  reason: Reason;
  /** In the operator's words, naming label, object or pod. */
  message: string;
}
