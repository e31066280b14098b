import type { MutatingWebhookConfiguration } from "kubernetes-types/admissionregistration/v1.d.ts";
import type { Deployment } from "kubernetes-types/apps/v1.d.ts";
import type { Container, Node } from "kubernetes-types/core/v1.d.ts";
import { publishedTemplates } from "../../core/contract.ts";
import type { InjectionTemplate } from "../../core/injected.ts";
import { liqo, objects, PRODUCT } from "../../core/names.ts";
import {
  namespaceFacts,
  type NamespacePolicy,
  namespacePolicy,
  roleOf,
  tenantNameOf,
} from "../../core/namespace_policy.ts";
import type { Settings } from "../../core/settings.ts";
import type { ListOptions } from "../../kube/calls.ts";
import type { KubeClient } from "../../kube/client.ts";
import { isNotFound, KubeError } from "../../kube/errors.ts";
import { type Resource, resources } from "../../kube/resources.ts";
import { readCommandLine } from "../options.ts";

/** What is needed of a Node. */
export interface NodeFacts {
  name: string;
  /** Such as `v1.36.3`. */
  kubelet: string;
  /** Keys of its annotations: network engines leave theirs. */
  annotations: string[];
}

/** What several checks want to know of the cluster, read when it is first asked for, and once. */
export interface Survey {
  /** Real nodes, those that Liqo makes up for other clusters left out. */
  nodes(): Promise<NodeFacts[]>;
  /** Names of the API's groups: a custom resource's group is there when its definition is. */
  apiGroups(): Promise<string[]>;
  /** Our Deployment. */
  deployment(): Promise<Deployment | undefined>;
  /** Our webhook's registration. */
  webhookConfiguration(): Promise<MutatingWebhookConfiguration | undefined>;
  /** Whether anything of our installation is there. */
  installed(): Promise<boolean>;
  /**
   * Settings of our Deployment; those of this command line where there is none, or where we may not read it.
   * @throws {UsageError} naming what is wrong with them.
   */
  settings(): Promise<Settings>;
  /** Name of the ServiceAccount that our Deployment runs as. */
  serviceAccount(): Promise<string>;
  /** What replicas have published that they inject, newest first. */
  templates(): Promise<InjectionTemplate[]>;
  /** Offloaded namespaces. */
  offloaded(): Promise<NamespacePolicy[]>;
}

/** Prepares a survey; reads nothing yet. */
export function survey(client: Pick<KubeClient, "get" | "listAll" | "raw">, settings: Settings): Survey {
  const { namespace, webhookConfiguration } = settings;
  const deployment = once(() => find(client.get(resources.Deployment, { namespace, name: PRODUCT })));
  const configuration = once(() =>
    find(client.get(resources.MutatingWebhookConfiguration, { name: webhookConfiguration }))
  );
  const readable = () =>
    deployment().catch((error) => {
      if (isForbidden(error)) return undefined;
      throw error;
    });
  const deployed = once(async () => {
    const container = containerOf(await readable());
    return container === undefined ? settings : settingsOf(container, settings);
  });
  return {
    deployment,
    webhookConfiguration: configuration,
    installed: once(async () => await readable() !== undefined || await configuration() !== undefined),
    settings: deployed,
    serviceAccount: async () => (await readable())?.spec?.template.spec?.serviceAccountName ?? PRODUCT,
    nodes: once(() => collect(client, resources.Node, {}, nodeFacts)),
    apiGroups: once(async () => {
      const { groups } = JSON.parse(await client.raw("/apis", { accept: "application/json" })) as GroupList;
      return groups.map(({ name }) => name);
    }),
    templates: once(async () => {
      const contract = await find(client.get(resources.ConfigMap, { namespace, name: objects.contract }));
      return publishedTemplates(contract?.data);
    }),
    offloaded: once(async () => {
      const select = (labelSelector: string) =>
        collect(client, resources.Namespace, { labelSelector }, (object) => namespaceFacts(object));
      const all = await select(liqo.remoteClusterId);
      const tenantsV0 = await select(liqo.tenantNamespaceV0);
      const byName = new Map([...tenantsV0, ...all].map((facts) => [facts.name, facts]));
      // Policies of namespaces do not depend on what the Deployment's flags may have wrong.
      const used = await deployed().catch(() => settings);
      return all.filter((facts) => roleOf(facts.labels) === "offloaded")
        .map((facts) => namespacePolicy(facts, byName.get(tenantNameOf(facts) ?? ""), used));
    }),
  };
}

interface GroupList {
  groups: { name: string }[];
}

/** Our container of our Deployment. */
export function containerOf(deployment: Deployment | undefined): Container | undefined {
  return deployment?.spec?.template.spec?.containers?.[0];
}

/** Settings that a container runs with. Values that come from its pod are those of this command line. */
function settingsOf(container: Container, fallback: Settings): Settings {
  const variables = new Map((container.env ?? []).map(({ name, value }) => [name, value]));
  const [verb, ...rest] = container.args ?? [];
  const args = verb === undefined || verb.startsWith("-") ? container.args ?? [] : rest;
  const process = { env: (name: string) => variables.get(name) || undefined, out: () => {} };
  const line = readCommandLine(args, process, { usage: "", flags: {} });
  return { ...(line?.settings ?? fallback), namespace: fallback.namespace };
}

function nodeFacts(node: Node): NodeFacts | undefined {
  const { name = "", labels = {}, annotations = {} } = node.metadata ?? {};
  if (labels["liqo.io/type"] === "virtual-node") return undefined; // Liqo v0.6 to v1.2
  return { name, kubelet: node.status?.nodeInfo?.kubeletVersion ?? "", annotations: Object.keys(annotations) };
}

/** All objects of a list, projected; undefined ones are left out. */
export async function collect<T, R>(
  client: Pick<KubeClient, "listAll">,
  resource: Resource<T>,
  options: ListOptions,
  project: (object: T) => R | undefined,
): Promise<R[]> {
  let all: R[] = [];
  for await (const part of client.listAll(resource, options)) {
    if (part.restarted) all = [];
    for (const object of part.items) {
      const projected = project(object);
      if (projected !== undefined) all.push(projected);
    }
  }
  return all;
}

/** The object, or undefined if there is none. */
export async function find<T>(object: Promise<T>): Promise<T | undefined> {
  try {
    return await object;
  } catch (error) {
    if (isNotFound(error)) return undefined;
    throw error;
  }
}

/** Whether the API server refused us for want of a right. */
export function isForbidden(error: unknown): error is KubeError {
  return error instanceof KubeError && error.status === 403;
}

function once<T>(load: () => Promise<T>): () => Promise<T> {
  let loaded: Promise<T> | undefined;
  return () => loaded ??= load();
}
