import type { InjectionTemplate } from "./injected.ts";
import { MAX_UID } from "./setting_values.ts";
import { OUR_CONTAINERS } from "./tenant_containers.ts";

/** Key of the contract ConfigMap's data: a JSON array of templates, newest first. */
const KEY = "templates.json";

/** This version's template and that of the version before: enough for a rollout, forwards or back. */
const KEPT = 2;

/** Templates that replicas have published; none if there are none or they cannot be read. */
export function publishedTemplates(data: Readonly<Record<string, string>> | undefined): InjectionTemplate[] {
  try {
    const templates = JSON.parse(data?.[KEY] ?? "[]");
    return Array.isArray(templates) ? templates.filter(isTemplate) : [];
  } catch {
    return []; // Replaced by the next replica that publishes.
  }
}

/** Names and values are checked as far as injecting by the template could not fail. */
function isTemplate(value: Partial<InjectionTemplate> | null): value is InjectionTemplate {
  return typeof value?.id === "string" && isList(value.containers, OUR_CONTAINERS) && isList(value.volumes) &&
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
export function publish(
  data: Readonly<Record<string, string>> | undefined,
  mine: InjectionTemplate,
): Record<string, string> | undefined {
  const published = publishedTemplates(data);
  if (published[0]?.id === mine.id) return undefined;
  const others = published.filter((template) => template.id !== mine.id);
  return { [KEY]: JSON.stringify([mine, ...others].slice(0, KEPT)) };
}
