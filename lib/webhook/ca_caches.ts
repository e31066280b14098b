import type { MutatingWebhookConfiguration } from "kubernetes-types/admissionregistration/v1.d.ts";
import type { Secret } from "kubernetes-types/core/v1.d.ts";
import { objects } from "../core/names.ts";
import type { KubeClient } from "../kube/client.ts";
import { Informer } from "../kube/informer.ts";
import { resources } from "../kube/resources.ts";
import type { Log } from "../ops/log.ts";
import { type BundleConfiguration, projectBundles } from "./ca_bundle.ts";
import { type CaSecret, projectCaSecret } from "./ca_secret.ts";

/** What {@linkcode CaCaches} needs. */
export interface CaCachesDeps {
  client: Pick<KubeClient, "listAll" | "watch">;
  /** Our own namespace. */
  namespace: string;
  /** Name of the webhook configuration. */
  webhookConfiguration: string;
  log: Log;
}

/** The two objects that our own authority watches, each by its name: our rights end there. */
export class CaCaches {
  /** The Secret that replicas agree by. */
  readonly secrets: Informer<CaSecret, Secret>;
  /** The webhook configuration. */
  readonly configurations: Informer<BundleConfiguration, MutatingWebhookConfiguration>;

  constructor({ client, namespace, webhookConfiguration, log }: CaCachesDeps) {
    this.secrets = new Informer({
      client,
      log,
      resource: resources.Secret,
      namespace,
      fieldSelector: `metadata.name=${objects.caSecret}`,
      project: projectCaSecret,
    });
    this.configurations = new Informer({
      client,
      log,
      resource: resources.MutatingWebhookConfiguration,
      fieldSelector: `metadata.name=${webhookConfiguration}`,
      project: projectBundles,
    });
  }

  /** Resolves when both have their first list. */
  get synced(): Promise<unknown> {
    return Promise.all([this.secrets.synced, this.configurations.synced]);
  }

  /** Keeps both right until the signal is aborted. */
  async run(signal: AbortSignal): Promise<void> {
    await Promise.all([this.secrets.run(signal), this.configurations.run(signal)]);
  }
}
