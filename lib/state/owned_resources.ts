import type { OwnedKind } from "../core/desired_state.ts";
import { type KubeObject, type Resource, resources } from "../kube/resources.ts";

/** Where the API keeps each kind of object that we keep in offloaded namespaces. */
export const ownedResources: Readonly<Record<OwnedKind, Resource<KubeObject>>> = {
  ConfigMap: resources.ConfigMap as Resource<KubeObject>,
  NetworkPolicy: resources.NetworkPolicy as Resource<KubeObject>,
};
