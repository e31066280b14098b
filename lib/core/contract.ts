import type { Container } from "kubernetes-types/core/v1.d.ts";
import type { InjectionTemplate } from "./injected.ts";
import { MAX_UID } from "./setting_values.ts";
import { OUR_CONTAINERS } from "./tenant_containers.ts";

/** Key of the contract ConfigMap's data: a JSON array of templates, newest first. */
const KEY = "templates.json";

/** This version's template and that of the version before: enough for a rollout, forwards or back. */
const KEPT = 2;

type ContractData = Readonly<Record<string, string>>;

/** Templates that replicas have published; none if there are none or they cannot be read. */
export function publishedTemplates(data: ContractData | undefined): InjectionTemplate[] {
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

/**
 * Data of the contract ConfigMap once `mine` is the newest in it; undefined if it is already. After a rollback the version that runs again
 * is the newest, or the next upgrade would forget it.
 */
export function publish(data: ContractData | undefined, mine: InjectionTemplate): Record<string, string> | undefined {
  const others = publishedTemplates(data).filter((template) => template.id !== mine.id);
  return changed(data, [mine, ...others]);
}

/** As `publish`, but for a template that is in it the order stays: what is missing or does not belong there is put right. */
export function repair(data: ContractData | undefined, mine: InjectionTemplate): Record<string, string> | undefined {
  const published = publishedTemplates(data).slice(0, KEPT);
  if (!published.some((template) => template.id === mine.id)) return publish(data, mine);
  return changed(data, published);
}

/** What the ConfigMap must hold; undefined if it holds just that. */
function changed(data: ContractData | undefined, all: InjectionTemplate[]): Record<string, string> | undefined {
  const templates = all.slice(0, KEPT);
  const wanted: Record<string, string> = { [KEY]: JSON.stringify(templates) };
  for (const [i, { containers }] of templates.entries()) {
    for (const [name, value] of Object.entries(policyValues(containers)!)) wanted[`${name}-${i}`] = value;
  }
  return Object.keys({ ...wanted, ...data }).some((key) => wanted[key] !== data?.[key]) ? wanted : undefined;
}

/** What an admission policy compares with. It cannot read JSON, so each value gets a key of its own, like `init-image-0`; 0 is the newest. */
function policyValues(containers: string): Record<string, string> | undefined {
  const [init, proxy] = JSON.parse(containers) as Partial<Container>[];
  const values = { "init-image": init?.image, "init-script": init?.command?.[2], "proxy-image": proxy?.image };
  return Object.values(values).every((value) => typeof value === "string")
    ? values as Record<string, string>
    : undefined;
}
