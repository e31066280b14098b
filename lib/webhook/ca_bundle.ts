import type { MutatingWebhookConfiguration } from "kubernetes-types/admissionregistration/v1.d.ts";
import type { BundleFacts } from "../core/certificate_plan.ts";
import { decodeText, encodeText } from "../kube/base64.ts";
import type { JsonPatchOp } from "../kube/calls.ts";
import { type Certificate, readCertificates } from "./certificates.ts";

/** Of the webhook configuration, what is needed to keep its `caBundle`s right. */
export interface BundleConfiguration {
  resourceVersion: string;
  /** The `caBundle` of each webhook, PEM; "" if it has none. */
  bundles: string[];
}

/** The projection of the webhook configuration that an informer keeps. */
export function projectBundles(configuration: MutatingWebhookConfiguration): BundleConfiguration {
  return {
    resourceVersion: configuration.metadata?.resourceVersion ?? "",
    bundles: (configuration.webhooks ?? []).map(({ clientConfig }) =>
      decodeText(clientConfig.caBundle ?? "") ?? "not base64"
    ),
  };
}

/** What the `caBundle`s hold, read. */
export interface BundleContent {
  /** Authorities of ours in each of them. */
  trusted: Certificate[];
  /** Whether any holds something else than the `expected`. */
  surplus: boolean;
}

/** Reads the `caBundle`s; `expected` are ids of authorities. */
export function readBundles(configuration: BundleConfiguration, expected: ReadonlySet<string>): BundleContent {
  const all = configuration.bundles.map(readCertificates);
  const [first, ...others] = all;
  return {
    trusted: (first?.certificates ?? []).filter(({ id, isOurs }) =>
      isOurs && others.every(({ certificates }) => certificates.some((certificate) => certificate.id === id))
    ),
    surplus: all.some(({ certificates, rest }) => rest || certificates.some(({ id }) => !expected.has(id))),
  };
}

/** The patch that makes each `caBundle` hold just these certificates (PEM), if nobody has written meanwhile. */
export function bundlePatch(configuration: BundleConfiguration, certificates: readonly string[]): JsonPatchOp[] {
  const value = encodeText(certificates.join(""));
  return [
    { op: "test", path: "/metadata/resourceVersion", value: configuration.resourceVersion },
    ...configuration.bundles.map((_, index): JsonPatchOp => ({
      op: "add", // replaces what is there
      path: `/webhooks/${index}/clientConfig/caBundle`,
      value,
    })),
  ];
}

/** Remembers since when something is seen. The clock must be steady: a jump would make it look settled. */
export class SinceWhen {
  #since = new Map<string, number>();

  /** Notes what is there now; what is not is forgotten. */
  see(ids: Iterable<string>, steadyMs: number): void {
    this.#since = new Map([...ids].map((id) => [id, this.#since.get(id) ?? steadyMs]));
  }

  /** For how long it has been there, ms. */
  ms(id: string, steadyMs: number): number | undefined {
    const since = this.#since.get(id);
    return since === undefined ? undefined : steadyMs - since;
  }
}

const SURPLUS = "surplus";

/** The facts of the bundle for the plan; to be called whenever it may have changed. */
export function bundleFacts(content: BundleContent, since: SinceWhen, steadyMs: number): BundleFacts {
  since.see([...content.trusted.map(({ id }) => id), ...(content.surplus ? [SURPLUS] : [])], steadyMs);
  return {
    trusted: content.trusted.map(({ id, notBefore, notAfter }) => ({
      id,
      notBefore,
      notAfter,
      sinceMs: since.ms(id, steadyMs) ?? 0,
    })),
    surplusMs: since.ms(SURPLUS, steadyMs),
  };
}
