import { type Check, ok, warn } from "./check.ts";

/** API groups of Liqo's ShadowPods and NamespaceMaps, which offloading is made of. */
const GROUPS = { v1: "offloading.liqo.io", v0: "virtualkubelet.liqo.io" };

/** Kinds that offloading needs. */
const KINDS = ["ShadowPod", "NamespaceMap"];

/** Liqo's custom resources. */
export const liqoInstalled: Check = {
  id: "liqo",
  title: "custom resources of Liqo",
  where: "always",
  async *run({ client, survey }) {
    const present = await survey.apiGroups();
    const group = [GROUPS.v1, GROUPS.v0].find((name) => present.includes(name));
    if (group === undefined) {
      yield warn(
        `Liqo is not installed: there are no custom resources of ${GROUPS.v1}, so nothing can be offloaded to here`,
        "install Liqo, after Data Spacer",
      );
      return;
    }
    const { preferredVersion } = JSON.parse(await client.raw(`/apis/${group}`)) as Group;
    const { resources } = JSON.parse(await client.raw(`/apis/${preferredVersion.groupVersion}`)) as ResourceList;
    const missing = KINDS.filter((kind) => !resources.some((resource) => resource.kind === kind));
    if (missing.length > 0) {
      yield warn(
        `Liqo's installation is not whole: ${preferredVersion.groupVersion} has no ${missing.join(" and no ")}`,
        "repair Liqo's installation",
      );
    } else yield ok(`Liqo is installed: ${preferredVersion.groupVersion} has ${KINDS.join(" and ")}`);
  },
};

interface Group {
  preferredVersion: { groupVersion: string };
}

interface ResourceList {
  resources: { kind: string }[];
}
