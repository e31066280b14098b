import { liqo } from "../../core/names.ts";
import { resources } from "../../kube/resources.ts";
import { type Check, fail, ok, warn } from "./check.ts";
import { find } from "./survey.ts";

/** Whether our own namespace is the provider's. */
export const ownNamespace: Check = {
  id: "namespace",
  title: "our own namespace",
  where: "always",
  async *run({ client, settings: { namespace: name } }) {
    const namespace = await find(client.get(resources.Namespace, { name }));
    if (namespace === undefined) {
      yield warn(
        `Namespace "${name}" is not there: a consumer could have it made under that name`,
        `before you peer with anybody: kubectl create namespace ${name}`,
      );
      return;
    }
    const consumer = namespace.metadata?.labels?.[liqo.remoteClusterId];
    if (consumer === undefined) yield ok(`Namespace "${name}" was not made by Liqo`);
    else {
      yield fail(
        `Namespace "${name}" was made by Liqo for consumer "${consumer}" (label ${liqo.remoteClusterId}), who can write in it`,
        "install Data Spacer in a namespace that you make yourself",
      );
    }
  },
};
