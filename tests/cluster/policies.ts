import assert from "node:assert/strict";
import type { Cluster, Identity, RequestOptions } from "./cluster.ts";
import { until } from "./processes.ts";

/** Somebody of the provider's with every right to the core group and to Ingresses that RBAC has, but not the exception. */
export const CLERK: Identity = { as: "clerk", asGroups: ["clerks", "system:authenticated"] };

/** The provider's administrator. */
export const ADMINISTRATOR: Identity = {};

/** A request to the API server. */
export interface Request {
  /** Path and query. */
  path: string;
  method?: string;
  body?: unknown;
  contentType?: string;
  /** It opens a connection, so there is no dry run of it. */
  connects?: true;
}

/** What somebody tries, and what is to come of it: a policy of ours that refuses it, or what is said by whoever else cannot do it. */
export type Attempt = [
  what: string,
  who: Identity,
  request: Request,
  outcome: "passes" | { refusedBy: string } | { fails: RegExp },
];

/** A merge patch. */
export function patch(path: string, body: unknown): Request {
  return { path, method: "PATCH", contentType: "application/merge-patch+json", body };
}

/** A server-side apply, forced as Liqo's are. */
export function apply(path: string, body: unknown, manager = "shadow-pod"): Request {
  const query = `fieldManager=${manager}&force=true`;
  return { path: `${path}?${query}`, method: "PATCH", contentType: "application/apply-patch+yaml", body };
}

/** The same request, of which nothing is stored. */
export function dryRun(request: Request): Request {
  if (request.connects) return request;
  return { ...request, path: `${request.path}${request.path.includes("?") ? "&" : "?"}dryRun=All` };
}

/** Asks a test cluster for things, and tells by whom they are refused. */
export class Doors {
  readonly #cluster: Cluster;

  /** Gives the clerk its rights. */
  static async create(cluster: Cluster): Promise<Doors> {
    const rules = [{ apiGroups: ["", "networking.k8s.io"], resources: ["*"], verbs: ["*"] }];
    const doors = new Doors(cluster);
    await doors.grant("clerk", rules, { kind: "Group", name: "clerks" });
    return doors;
  }

  private constructor(cluster: Cluster) {
    this.#cluster = cluster;
  }

  /** A ClusterRole, and whom it is bound to in all namespaces. */
  async grant(name: string, rules: object[], subject: { kind: string; name: string }): Promise<void> {
    const rbac = "/apis/rbac.authorization.k8s.io/v1";
    await this.#cluster.call(`${rbac}/clusterroles`, { body: { metadata: { name }, rules } });
    await this.#cluster.call(`${rbac}/clusterrolebindings`, {
      body: { metadata: { name }, roleRef: { kind: "ClusterRole", name }, subjects: [subject] },
    });
  }

  /** Binds a ClusterRole in one namespace. */
  async grantIn(namespace: string, role: string, subject: { kind: string; name: string }): Promise<void> {
    await this.#cluster.call(`/apis/rbac.authorization.k8s.io/v1/namespaces/${namespace}/rolebindings`, {
      body: {
        metadata: { name: `${role}-${subject.name}` },
        roleRef: { kind: "ClusterRole", name: role },
        subjects: [subject],
      },
    });
  }

  /** Asserts that this policy of ours refuses, and names nothing internal. Returns the message. */
  async refused(policy: string, who: Identity, request: Request): Promise<string> {
    const { status, message } = await this.#ask(who, request);
    const by = `ValidatingAdmissionPolicy '${policy}.data-spacer.provider'`;
    assert.ok(message.includes(by), `${status}, not refused by ${by}: ${message}`);
    assert.equal(status, 403, message);
    assert.doesNotMatch(message, /expression|resulted in error|authorizer|object\.|variables\./);
    return message;
  }

  /** Asserts that nobody refuses. */
  async passes(who: Identity, request: Request): Promise<void> {
    const { status, message } = await this.#ask(who, request);
    assert.ok(status < 300, `${status}: ${message}`);
  }

  /** Tries each; nothing is stored. */
  async try(t: Deno.TestContext, attempts: readonly Attempt[]): Promise<void> {
    for (const [what, who, request, outcome] of attempts) {
      const dry = dryRun(request);
      await t.step(`${outcome === "passes" ? "passes" : Object.keys(outcome)[0]}: ${what}`, async () => {
        if (outcome === "passes") return await this.passes(who, dry);
        if ("refusedBy" in outcome) return void await this.refused(outcome.refusedBy, who, dry);
        assert.match((await this.#ask(who, dry)).message, outcome.fails);
      });
    }
  }

  /** Waits until policies are in force: the API server reads them anew every second. */
  async inForce(namespace: string): Promise<void> {
    const service = { metadata: { name: "probe" }, spec: { type: "NodePort", ports: [{ port: 80 }] } };
    await until(async () => {
      const { status } = await this.#ask(
        CLERK,
        dryRun({ path: `/api/v1/namespaces/${namespace}/services`, body: service }),
      );
      return status === 403 || undefined;
    }, { ms: 10_000, what: "policies in force", every: 50 });
  }

  async #ask(who: Identity, request: Request): Promise<{ status: number; message: string }> {
    const { path, connects: _, ...options } = request;
    const { status, body } = await this.#cluster.request<{ message?: string } | string>(
      path,
      { ...who, ...options } satisfies RequestOptions,
    );
    return { status, message: typeof body === "string" ? body : body?.message ?? "" };
  }
}
