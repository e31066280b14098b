import { testPod } from "../../../support/pods.ts";
import { type Case, fails, passes } from "./case.ts";

const volume = (source: object) => testPod({ volumes: [{ name: "ok", emptyDir: {} }, { name: "v", ...source }] });

/** Of rules/volumes.ts. */
export const volumes: Case[] = [
  ...[
    { hostPath: { path: "/" } },
    { nfs: { server: "192.0.2.1", path: "/" } },
    { iscsi: {} },
    { rbd: {} },
    { cephfs: {} },
    { csi: { driver: "nfs.csi.k8s.io" } },
    { flexVolume: {} },
    { gitRepo: {} },
    { futureVolume: {} },
    { emptyDir: {}, hostPath: { path: "/" } },
  ].map((source) => fails(Object.keys(source).join(" and "), volume(source), "spec.volumes[1]: must be one of")),
  ...[
    { configMap: { name: "c" } },
    { secret: { secretName: "s" } },
    { downwardAPI: {} },
    { emptyDir: { medium: "Memory" } },
    { persistentVolumeClaim: { claimName: "c" } },
    { ephemeral: {} },
    { image: { reference: "localhost/data:1" } },
    { emptyDir: {}, hostPath: null },
    {},
  ].map((source) => passes(Object.keys(source).join(" and ") || "no kind", volume(source))),
];
