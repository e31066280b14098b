import type { InjectionTemplate } from "./injected.ts";

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

function isTemplate(value: Partial<InjectionTemplate> | null): value is InjectionTemplate {
  return typeof value?.id === "string" && typeof value.containers === "string" && typeof value.volumes === "string" &&
    typeof value.proxyUids?.first === "number" && typeof value.proxyUids.last === "number" &&
    typeof value.imagePullSecret === "string" && typeof value.objects?.ConfigMap === "string" &&
    typeof value.objects.NetworkPolicy === "string";
}

/** Data of the contract ConfigMap once `mine` is published; undefined if it is already. */
export function publish(
  data: Readonly<Record<string, string>> | undefined,
  mine: InjectionTemplate,
): Record<string, string> | undefined {
  const published = publishedTemplates(data);
  if (published.some((template) => template.id === mine.id)) return undefined;
  return { [KEY]: JSON.stringify([mine, ...published].slice(0, KEPT)) };
}
