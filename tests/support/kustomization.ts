import { stringify } from "yaml";

/** Images of the three roles: what an operator names in an overlay. */
export interface ProductImages {
  controller: string;
  init: string;
  proxy: string;
}

/** What differs from `deploy/base` with only its images set. */
export interface OverlayOptions {
  /** Folders of `deploy/components`. */
  components?: string[];
  /** Variables of the container, by which flags are set. */
  env?: Record<string, string>;
  /** Replicas; by default two. */
  replicas?: number;
}

/**
 * An overlay of deploy/base as the README tells an operator: it names the images.
 *
 * @param deploy folder `deploy`, from that of the overlay.
 */
export function kustomization(deploy: string, images: ProductImages, options: OverlayOptions = {}): string {
  const { components = [], env = {}, replicas } = options;
  const variables = { INIT_IMAGE: images.init, PROXY_IMAGE: images.proxy, ...env };
  const container = {
    name: "data-spacer",
    image: images.controller,
    env: Object.entries(variables).map(([name, value]) => ({ name, value })),
  };
  const patch = {
    apiVersion: "apps/v1",
    kind: "Deployment",
    metadata: { name: "data-spacer", namespace: "data-spacer" },
    spec: { ...(replicas === undefined ? {} : { replicas }), template: { spec: { containers: [container] } } },
  };
  return stringify({
    apiVersion: "kustomize.config.k8s.io/v1beta1",
    kind: "Kustomization",
    sortOptions: { order: "fifo" },
    resources: [`${deploy}/base`],
    components: components.map((name) => `${deploy}/components/${name}`),
    patches: [{ patch: stringify(patch) }],
  });
}
