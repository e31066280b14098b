import { type Check, fail, ok, warn } from "./check.ts";
import { count, groups, someNames } from "./names.ts";

/** Native sidecars and ValidatingAdmissionPolicy are on by default from this minor version of Kubernetes 1 on. */
const OLDEST_MINOR = 30;

const needs = `1.${OLDEST_MINOR} is the oldest that is supported`;

/** The API server's version; the first check, since without an answer nothing can be told. */
export const apiServer: Check = {
  id: "api-server",
  title: "version of the API server",
  where: "always",
  async *run({ client }) {
    const { gitVersion } = JSON.parse(await client.raw("/version")) as { gitVersion?: string };
    const age = ageOf(gitVersion ?? "");
    if (age === "unknown") yield warn(`Cannot tell: the API server says that its version is "${gitVersion}"`);
    else if (age === "old") yield fail(`The API server is Kubernetes ${gitVersion}; ${needs}`, "upgrade the cluster");
    else yield ok(`The API server is Kubernetes ${gitVersion}`);
  },
};

/** The kubelets' versions: they start the sidecar, and may be older than the API server. */
export const kubelets: Check = {
  id: "kubelets",
  title: "versions of the kubelets",
  where: "always",
  async *run({ survey }) {
    const nodes = await survey.nodes();
    if (nodes.length === 0) yield warn("The cluster has no nodes: no pod can run", "add a node");
    for (const [version, all] of groups(nodes, ({ kubelet }) => kubelet)) {
      const where = `${count(all.length, "node")} (${someNames(all.map(({ name }) => name))})`;
      const age = ageOf(version);
      if (age === "unknown") yield warn(`Cannot tell: the kubelet of ${where} says that its version is "${version}"`);
      else if (age === "old") yield fail(`The kubelet of ${where} is ${version}; ${needs}`, "upgrade it");
      else yield ok(`The kubelet of ${where} is ${version}`);
    }
  },
};

function ageOf(version: string): "supported" | "old" | "unknown" {
  const [, major, minor] = /^v?(\d+)\.(\d+)(?:\D|$)/.exec(version) ?? [];
  if (major === undefined) return "unknown";
  return Number(major) > 1 || Number(minor) >= OLDEST_MINOR ? "supported" : "old";
}
