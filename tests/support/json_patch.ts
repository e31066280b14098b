/** An operation of a JSON Patch (RFC 6902), of the kinds that we use. */
export type Operation =
  | { op: "add"; path: string; value: unknown }
  | { op: "remove"; path: string }
  | { op: "move"; from: string; path: string };

/**
 * Applies a JSON Patch as RFC 6902 says, to a copy.
 *
 * @throws {Error} where an API server would refuse it: an unknown operation, a parent or member that is not there.
 */
export function applyPatch<T>(document: T, operations: readonly Operation[]): T {
  const root = { document: structuredClone(document) as unknown };
  for (const operation of operations) {
    switch (operation.op) {
      case "add":
        add(root, operation.path, structuredClone(operation.value));
        break;
      case "remove":
        remove(root, operation.path);
        break;
      case "move":
        add(root, operation.path, remove(root, operation.from));
        break;
      default:
        throw new Error(`Cannot apply patch: unknown operation in ${JSON.stringify(operation)}`);
    }
  }
  return root.document as T;
}

/** What holds the member that a JSON pointer (RFC 6901) names, and its key there. */
function resolve(root: object, path: string): { parent: unknown; key: string } {
  if (path !== "" && !path.startsWith("/")) throw new Error(`Cannot apply patch: "${path}" is no JSON pointer`);
  const keys = ["document", ...path.split("/").slice(1).map((s) => s.replaceAll("~1", "/").replaceAll("~0", "~"))];
  const key = keys.pop()!;
  return { parent: keys.reduce<unknown>((at, step) => member(at, step, path), root), key };
}

function member(parent: unknown, step: string, path: string): unknown {
  const value = Array.isArray(parent) ? parent[index(step, parent.length - 1, path)] : asObject(parent, path)[step];
  if (value === undefined) throw new Error(`Cannot apply patch: "${path}" leads nowhere, there is no "${step}"`);
  return value;
}

function add(root: object, path: string, value: unknown): void {
  const { parent, key } = resolve(root, path);
  if (!Array.isArray(parent)) asObject(parent, path)[key] = value;
  else parent.splice(key === "-" ? parent.length : index(key, parent.length, path), 0, value);
}

function remove(root: object, path: string): unknown {
  const { parent, key } = resolve(root, path);
  const removed = member(parent, key, path);
  if (Array.isArray(parent)) parent.splice(Number(key), 1);
  else delete asObject(parent, path)[key];
  return removed;
}

function index(step: string, max: number, path: string): number {
  if (!/^(0|[1-9]\d*)$/.test(step) || Number(step) > max) {
    throw new Error(`Cannot apply patch: no index "${step}" in "${path}"`);
  }
  return Number(step);
}

function asObject(value: unknown, path: string): Record<string, unknown> {
  if (typeof value === "object" && value !== null) return value as Record<string, unknown>;
  throw new Error(`Cannot apply patch: the parent of "${path}" is no object`);
}
