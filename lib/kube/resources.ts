import type {
  MutatingWebhookConfiguration,
  ValidatingAdmissionPolicy,
  ValidatingAdmissionPolicyBinding,
} from "kubernetes-types/admissionregistration/v1.d.ts";
import type { DaemonSet, Deployment } from "kubernetes-types/apps/v1.d.ts";
import type { SelfSubjectReview } from "kubernetes-types/authentication/v1.d.ts";
import type { SelfSubjectAccessReview, SubjectAccessReview } from "kubernetes-types/authorization/v1.d.ts";
import type { Lease } from "kubernetes-types/coordination/v1.d.ts";
import type { ConfigMap, Event, Namespace, Node, Pod, Secret } from "kubernetes-types/core/v1.d.ts";
import type { EndpointSlice } from "kubernetes-types/discovery/v1.d.ts";
import type { ObjectMeta } from "kubernetes-types/meta/v1.d.ts";
import type { NetworkPolicy } from "kubernetes-types/networking/v1.d.ts";

/** What every object of the API has. */
export interface KubeObject {
  apiVersion?: string;
  kind?: string;
  metadata?: ObjectMeta;
}

/** Where a kind lives in the API; `T` is the type of its objects. */
export interface Resource<T = KubeObject> {
  readonly apiVersion: string;
  readonly kind: string;
  readonly plural: string;
  readonly namespaced: boolean;
  /** Never set: carries the type of the objects from the descriptor to the result of a call. */
  readonly object?: T;
}

function resource<T>(apiVersion: string, kind: string, plural: string, namespaced: boolean): Resource<T> {
  return { apiVersion, kind, plural, namespaced };
}

/** Every kind that Data Spacer reads or writes, by its name. */
export const resources = {
  ConfigMap: resource<ConfigMap>("v1", "ConfigMap", "configmaps", true),
  DaemonSet: resource<DaemonSet>("apps/v1", "DaemonSet", "daemonsets", true),
  Deployment: resource<Deployment>("apps/v1", "Deployment", "deployments", true),
  EndpointSlice: resource<EndpointSlice>("discovery.k8s.io/v1", "EndpointSlice", "endpointslices", true),
  Event: resource<Event>("v1", "Event", "events", true),
  Lease: resource<Lease>("coordination.k8s.io/v1", "Lease", "leases", true),
  MutatingWebhookConfiguration: resource<MutatingWebhookConfiguration>(
    "admissionregistration.k8s.io/v1",
    "MutatingWebhookConfiguration",
    "mutatingwebhookconfigurations",
    false,
  ),
  Namespace: resource<Namespace>("v1", "Namespace", "namespaces", false),
  NetworkPolicy: resource<NetworkPolicy>("networking.k8s.io/v1", "NetworkPolicy", "networkpolicies", true),
  Node: resource<Node>("v1", "Node", "nodes", false),
  Pod: resource<Pod>("v1", "Pod", "pods", true),
  Secret: resource<Secret>("v1", "Secret", "secrets", true),
  SelfSubjectAccessReview: resource<SelfSubjectAccessReview>(
    "authorization.k8s.io/v1",
    "SelfSubjectAccessReview",
    "selfsubjectaccessreviews",
    false,
  ),
  SelfSubjectReview: resource<SelfSubjectReview>(
    "authentication.k8s.io/v1",
    "SelfSubjectReview",
    "selfsubjectreviews",
    false,
  ),
  SubjectAccessReview: resource<SubjectAccessReview>(
    "authorization.k8s.io/v1",
    "SubjectAccessReview",
    "subjectaccessreviews",
    false,
  ),
  ValidatingAdmissionPolicy: resource<ValidatingAdmissionPolicy>(
    "admissionregistration.k8s.io/v1",
    "ValidatingAdmissionPolicy",
    "validatingadmissionpolicies",
    false,
  ),
  ValidatingAdmissionPolicyBinding: resource<ValidatingAdmissionPolicyBinding>(
    "admissionregistration.k8s.io/v1",
    "ValidatingAdmissionPolicyBinding",
    "validatingadmissionpolicybindings",
    false,
  ),
} as const;

/** Which object, or which collection when there is no name. */
export interface ObjectRef {
  namespace?: string | undefined;
  name?: string | undefined;
  /** Such as "eviction" or "status". */
  subresource?: string | undefined;
}

/**
 * The URL path of an object or collection. Without a namespace a namespaced resource means the collection of all
 * namespaces.
 * @throws {TypeError} if a part could lead to another path: an empty name (a delete would take the whole collection),
 * "." or "..", a missing or superfluous namespace.
 */
export function pathOf(resource: Resource<unknown>, ref: ObjectRef = {}): string {
  const { namespace, name, subresource } = ref;
  if (namespace !== undefined && !resource.namespaced) {
    throw new TypeError(`Cannot address ${resource.kind}: it has no namespace, but "${namespace}" was given`);
  }
  if (namespace === undefined && resource.namespaced && name !== undefined) {
    throw new TypeError(`Cannot address ${resource.kind} "${name}": namespace is missing`);
  }
  if (subresource !== undefined && name === undefined) {
    throw new TypeError(`Cannot address ${resource.kind}/${subresource}: name is missing`);
  }
  const parts = resource.apiVersion.includes("/") ? ["/apis", resource.apiVersion] : ["/api", resource.apiVersion];
  if (namespace !== undefined) parts.push("namespaces", segment(resource, namespace));
  parts.push(resource.plural);
  if (name !== undefined) parts.push(segment(resource, name));
  if (subresource !== undefined) parts.push(segment(resource, subresource));
  return parts.join("/");
}

/**
 * As {@linkcode pathOf}, for one object.
 * @throws {TypeError} also if the name is missing: a request to the collection would mean all of its objects.
 */
export function pathOfOne(resource: Resource<unknown>, ref: ObjectRef): string {
  if (ref.name === undefined) throw new TypeError(`Cannot address ${resource.kind}: name is missing`);
  return pathOf(resource, ref);
}

function segment(resource: Resource<unknown>, text: string): string {
  if (text === "" || text === "." || text === "..") {
    throw new TypeError(`Cannot address ${resource.kind}: "${text}" is not a name`);
  }
  return encodeURIComponent(text);
}

/** A resource and object in words, for messages: `ConfigMap "tenant/envoy"`, `Pods of all namespaces`. */
export function describe(resource: Resource<unknown>, ref: ObjectRef = {}): string {
  const kind = ref.subresource === undefined ? resource.kind : `${resource.kind}/${ref.subresource}`;
  if (ref.name !== undefined) {
    return `${kind} "${ref.namespace === undefined ? ref.name : `${ref.namespace}/${ref.name}`}"`;
  }
  if (!resource.namespaced) return resource.plural;
  return ref.namespace === undefined
    ? `${resource.plural} of all namespaces`
    : `${resource.plural} of "${ref.namespace}"`;
}
