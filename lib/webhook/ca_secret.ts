import type { Secret } from "kubernetes-types/core/v1.d.ts";
import type { SecretFacts } from "../core/certificate_plan.ts";
import { labels, objects, PRODUCT } from "../core/names.ts";
import { decodeText, encodeText } from "../kube/base64.ts";
import { type Certificate, isKeyOf, readCertificates } from "./certificates.ts";
import type { Authority } from "./x509.ts";

/** Of the Secret with our authorities, what is needed to read and replace it. */
export interface CaSecret {
  resourceVersion: string;
  data: Readonly<Record<string, string>>;
}

/** Keys of the Secret's data. Replicas of two versions read each other's: a key keeps its meaning. */
const keys = {
  currentCert: "ca.crt",
  currentKey: "ca.key",
  nextCert: "next.crt",
  nextKey: "next.key",
  previous: "previous.crt",
  previousUntil: "previous.until",
} as const;

/** What the Secret holds, read. */
export interface CaSecretContent {
  facts: SecretFacts;
  /** By id. */
  authorities: Map<string, Authority>;
  /** Of all that are in it, those without a key too; by id. */
  certificates: Map<string, Certificate>;
}

/** What the Secret is to hold. */
export interface CaSecretUpdate {
  current: Authority | undefined;
  next: Authority | undefined;
  /** PEM. */
  previous: readonly string[];
  /** ms since 1970. */
  previousUntil: number | undefined;
}

/** The projection of the Secret that an informer keeps. */
export function projectCaSecret(secret: Secret): CaSecret {
  return { resourceVersion: secret.metadata?.resourceVersion ?? "", data: secret.data ?? {} };
}

/** Reads the Secret; whatever in it cannot be used is left out. */
export function readCaSecret(secret: CaSecret): CaSecretContent {
  const authorities = new Map<string, Authority>();
  const certificates = new Map<string, Certificate>();
  const text = (key: string): string => decodeText(secret.data[key] ?? "") ?? "";

  function authority(certKey: string, keyKey: string): Certificate | undefined {
    const [certificate] = readCertificates(text(certKey)).certificates;
    const key = text(keyKey);
    if (certificate === undefined || !certificate.isOurs || !isKeyOf(key, certificate)) return undefined;
    authorities.set(certificate.id, { cert: certificate.pem, key });
    certificates.set(certificate.id, certificate);
    return certificate;
  }

  const current = authority(keys.currentCert, keys.currentKey);
  const next = authority(keys.nextCert, keys.nextKey);
  const previous = readCertificates(text(keys.previous)).certificates.filter(({ isOurs }) => isOurs);
  for (const certificate of previous) certificates.set(certificate.id, certificate);
  const until = Date.parse(text(keys.previousUntil));
  const facts = { current, next, previous, previousUntil: Number.isNaN(until) ? undefined : until };
  return { facts, authorities, certificates };
}

/** The Secret to create, or to replace `seen` by. */
export function writeCaSecret(
  update: CaSecretUpdate,
  where: { namespace: string; seen: CaSecret | undefined },
): Secret {
  const { current, next, previous, previousUntil } = update;
  const data: Record<string, string> = {};
  const put = (key: string, value: string | undefined): void => {
    if (value !== undefined && value !== "") data[key] = encodeText(value);
  };
  put(keys.currentCert, current?.cert);
  put(keys.currentKey, current?.key);
  put(keys.nextCert, next?.cert);
  put(keys.nextKey, next?.key);
  put(keys.previous, previous.join(""));
  if (previousUntil !== undefined) put(keys.previousUntil, new Date(previousUntil).toISOString());
  return {
    apiVersion: "v1",
    kind: "Secret",
    metadata: {
      name: objects.caSecret,
      namespace: where.namespace,
      labels: { [labels.managedBy]: PRODUCT },
      ...(where.seen ? { resourceVersion: where.seen.resourceVersion } : {}),
    },
    type: "Opaque",
    data,
  };
}
