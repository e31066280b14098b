import * as v from "valibot";
import type { Resources } from "./settings.ts";

/** A name of a namespace or Service. */
export const dnsLabel = v.pipe(
  v.string(),
  v.regex(/^[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?$/, "must be lower-case letters, digits and dashes, at most 63"),
);

/** Longest name of an object. */
const MAX_NAME = 253;

const SUBDOMAIN = /^[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*$/;
const subdomain = `must be lower-case letters, digits, dashes and dots, at most ${MAX_NAME}`;

/** A name of most other objects (DNS-1123 subdomain). */
export const objectName = v.pipe(v.string(), v.regex(SUBDOMAIN, subdomain), v.maxLength(MAX_NAME, subdomain));

/** The same; none means absent. */
export const optionalName: v.GenericSchema<string, string | undefined> = v.union([
  v.pipe(v.literal(""), v.transform((): undefined => undefined)),
  objectName,
], subdomain);

/** Text, of which none means absent. */
export const optional = v.pipe(v.string(), v.transform((s): string | undefined => s === "" ? undefined : s));

/** A whole number in a range. */
export const integer = (min: number, max: number) => {
  const message = `must be a whole number from ${min} to ${max}`;
  return v.pipe(
    v.string(),
    v.regex(/^\d{1,10}$/, message),
    v.transform(Number),
    v.minValue(min, message),
    v.maxValue(max, message),
  );
};
const list = v.transform((s: string) => s.split(/[\s,]+/).filter((x) => x !== ""));

const UNITS: Record<string, number> = { s: 1_000, m: 60_000, h: 3_600_000, d: 86_400_000 };

/** A time like `24h`, in ms. */
export const duration = v.pipe(
  v.string(),
  v.regex(/^[1-9]\d{0,5}[smhd]$/, "must be a number with a unit s, m, h or d, like 24h"),
  v.transform((s) => Number(s.slice(0, -1)) * UNITS[s.slice(-1)]!),
);

/** A `duration` in a range, given like one. */
export const durationWithin = (min: string, max: string) => {
  const message = `must be a time from ${min} to ${max}`;
  return v.pipe(
    duration,
    v.minValue(v.parse(duration, min), message),
    v.maxValue(v.parse(duration, max), message),
  );
};

/** An image reference, by tag or digest. */
export const image = v.pipe(
  v.string(),
  v.regex(
    /^[\w.:/-]+(@sha256:[0-9a-f]{64})?$/,
    "must be an image reference like registry/name:tag or registry/name@sha256:…",
  ),
);

const quantity = "[0-9]+(\\.[0-9]+)?";

/** CPU and memory like `cpu=100m,memory=128Mi`. */
export const resources = v.pipe(
  v.string(),
  v.regex(
    new RegExp(`^cpu=${quantity}m?,memory=${quantity}(Ki|Mi|Gi|k|M|G)?$`),
    "must be CPU and memory, like cpu=100m,memory=128Mi",
  ),
  v.transform((s): Resources => {
    const [cpu, memory] = s.split(",").map((part) => part.slice(part.indexOf("=") + 1));
    return { cpu: cpu!, memory: memory! };
  }),
);

/** Whether this is an IPv4 or IPv6 address. */
export const isAddress = (s: string) => v.is(v.union([v.pipe(v.string(), v.ipv4()), v.pipe(v.string(), v.ipv6())]), s);
const isCidr = (s: string) => {
  const [address, bits, ...more] = s.split("/");
  const max = address?.includes(":") ? 128 : 32;
  return more.length === 0 && isAddress(address!) && /^\d{1,3}$/.test(bits ?? "") && Number(bits) <= max;
};

/** IP addresses separated by commas or blanks. */
export const addresses = v.pipe(
  v.string(),
  list,
  v.check((all) => all.every(isAddress), "must be IPv4 or IPv6 addresses separated by commas, like 10.96.0.10"),
);

/** Address ranges separated by commas or blanks. */
export const cidrs = v.pipe(
  v.string(),
  list,
  v.check((all) => all.every(isCidr), "must be address ranges separated by commas, like 169.254.20.10/32"),
);

/** Labels like `k8s-app=kube-dns,tier=dns`. */
export const labelMap = v.pipe(
  v.string(),
  v.regex(/^[\w./-]+=[\w.-]*(,[\w./-]+=[\w.-]*)*$/, "must be labels like k8s-app=kube-dns, separated by commas"),
  v.transform((s) => Object.fromEntries(s.split(",").map((pair) => pair.split("=") as [string, string]))),
);

/** The largest uid that exists in a pod with its own user namespace (`hostUsers: false`). */
export const MAX_UID = 65_535;

/** Two uids like `21337-21346`. */
export const uidRange = v.pipe(
  v.string(),
  v.regex(/^\d{1,5}-\d{1,5}$/, "must be two uids like 21337-21346"),
  v.transform((s) => {
    const [first, last] = s.split("-").map(Number);
    return { first: first!, last: last! };
  }),
  v.check(
    ({ first, last }) => first >= 1 && first <= last && last <= MAX_UID,
    `must be two uids from 1 to ${MAX_UID}, the smaller one first`,
  ),
);

/** Names of objects of the API, or of resources like `nvidia.com/gpu`, separated by commas. */
export const names: v.GenericSchema<string, string[]> = v.pipe(
  v.string(),
  list,
  v.check(
    (all) => all.every((name) => /^[a-zA-Z0-9]([-a-zA-Z0-9._/]{0,251}[a-zA-Z0-9])?$/.test(name)),
    "must be names separated by commas",
  ),
);
