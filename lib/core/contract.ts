import type { Container } from "kubernetes-types/core/v1.d.ts";
import type { InjectionTemplate } from "./injected.ts";
import { MAX_UID } from "./setting_values.ts";
import { OUR_CONTAINERS } from "./tenant_containers.ts";

/** Key of the contract ConfigMap's data: a JSON array of templates, newest first. */
const KEY = "templates.json";

/** This version's template and that of the version before: enough for a rollout, forwards or back. */
const KEPT = 2;

/**
 * How long a template stays acceptable once another is the newest, ms. Longer than an API server takes to hear of a change and than a pod is on
 * its way; not for ever, since a consumer could send the containers of a version again whose hole was closed.
 */
export const SUPERSEDED_MS = 3_600_000;

/** How old the time of a template that still runs may be before it is set anew, ms. */
export const RENEW_MS = SUPERSEDED_MS / 4;

type ContractData = Readonly<Record<string, string>>;

/** A template in the contract. */
export interface PublishedTemplate extends InjectionTemplate {
  /** When another became the newest, or a replica last said that it injects by this one all the same; ms since 1970. Absent on the newest. */
  supersededAt?: number;
}

/** A moment, ms since 1970. */
export interface At {
  now: number;
}

/** Templates that replicas have published, the newest first; none if there are none or they cannot be read. */
export function publishedTemplates(data: ContractData | undefined): PublishedTemplate[] {
  try {
    const templates = JSON.parse(data?.[KEY] ?? "[]");
    return Array.isArray(templates) ? templates.filter(isTemplate) : [];
  } catch {
    return []; // Replaced by the next replica that publishes.
  }
}

/** Names and values are checked as far as injecting by the template could not fail. */
function isTemplate(value: Partial<InjectionTemplate> | null): value is InjectionTemplate {
  return typeof value?.id === "string" && isList(value.containers, OUR_CONTAINERS) &&
    policyValues(value.containers as string) !== undefined && isList(value.volumes) &&
    isUid(value.proxyUids?.first) && isUid(value.proxyUids?.last) && typeof value.imagePullSecret === "string" &&
    typeof value.objects?.ConfigMap === "string" && typeof value.objects.NetworkPolicy === "string";
}

function isUid(value: unknown): boolean {
  return typeof value === "number" && value >= 1 && value <= MAX_UID;
}

/** Whether a text is a JSON list of objects with names, of that length if one is given. */
function isList(text: unknown, length?: number): boolean {
  if (typeof text !== "string") return false;
  try {
    const list = JSON.parse(text);
    return Array.isArray(list) && (length === undefined || list.length === length) &&
      list.every((item) => typeof item?.name === "string");
  } catch {
    return false;
  }
}

/** When a template stops being acceptable, ms since 1970; one without a time (as the version before publishes) does once it gets one. */
export function expiry({ supersededAt }: PublishedTemplate): number {
  return isTime(supersededAt) ? supersededAt + SUPERSEDED_MS : Infinity;
}

function isTime(value: unknown): value is number {
  return typeof value === "number" && Number.isFinite(value);
}

/**
 * Data of the contract ConfigMap once `mine` is the newest in it; undefined if it is already. After a rollback the version that runs again
 * is the newest, or the next upgrade would forget it.
 */
export function publish(data: ContractData | undefined, mine: InjectionTemplate, at: At): Changed {
  const others = publishedTemplates(data).filter((template) => template.id !== mine.id);
  return changed(data, [mine, ...others], at);
}

/**
 * As `publish`, but for a template that is in it the order stays: what is missing, has expired or does not belong there is put right. `mine`
 * is injected, so it does not expire.
 */
export function repair(data: ContractData | undefined, mine: InjectionTemplate, at: At): Changed {
  const published = publishedTemplates(data).slice(0, KEPT);
  if (!published.some((template) => template.id === mine.id)) return publish(data, mine, at);
  return changed(data, published.map((t) => t.id === mine.id && expiry(t) <= at.now ? mine : t), at);
}

/**
 * Data of the contract ConfigMap once it says that `mine`, which is not the newest, is injected still; undefined if it says so, or has no room.
 * A rollout may take longer than a template stays acceptable, or be held half-way.
 */
export function renew(data: ContractData | undefined, mine: InjectionTemplate, at: At): Changed {
  const [newest, before] = publishedTemplates(data);
  if (newest === undefined || newest.id === mine.id) return undefined;
  if (before !== undefined && before.id !== mine.id && expiry(before) > at.now) return undefined;
  const age = before?.id === mine.id && isTime(before.supersededAt) ? at.now - before.supersededAt : Infinity;
  return age >= 0 && age < RENEW_MS ? undefined : changed(data, [newest, mine], at);
}

/** What the ConfigMap must hold; undefined if it holds just that. */
type Changed = Record<string, string> | undefined;

function changed(data: ContractData | undefined, all: PublishedTemplate[], at: At): Changed {
  const templates = all.slice(0, KEPT).map((template, i) => timed(template, i === 0 ? undefined : at.now))
    .filter((template) => expiry(template) > at.now);
  const wanted: Record<string, string> = { [KEY]: JSON.stringify(templates) };
  for (const [i, { containers }] of templates.entries()) {
    for (const [name, value] of Object.entries(policyValues(containers)!)) wanted[`${name}-${i}`] = value;
  }
  return Object.keys({ ...wanted, ...data }).some((key) => wanted[key] !== data?.[key]) ? wanted : undefined;
}

/** A template with its time, which is `now` at the latest; the newest, without `now`, has none. */
function timed(template: PublishedTemplate, now: number | undefined): PublishedTemplate {
  const { supersededAt, ...rest } = template;
  if (now === undefined) return rest;
  return { ...rest, supersededAt: isTime(supersededAt) ? Math.min(supersededAt, now) : now };
}

/** What an admission policy compares with. It cannot read JSON, so each value gets a key of its own, like `init-image-0`; 0 is the newest. */
function policyValues(containers: string): Record<string, string> | undefined {
  const [init, proxy] = JSON.parse(containers) as Partial<Container>[];
  const values = { "init-image": init?.image, "init-script": init?.command?.[2], "proxy-image": proxy?.image };
  return Object.values(values).every((value) => typeof value === "string")
    ? values as Record<string, string>
    : undefined;
}
