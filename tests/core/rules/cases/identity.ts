import { testPod } from "../../../support/pods.ts";
import { type Case, fails, passes } from "./case.ts";

const projected = (source: object) =>
  testPod({ volumes: [{ name: "v", projected: { sources: [{ secret: { name: "s" } }, source] } }] });

/** Of rules/identity.ts. */
export const identity: Case[] = [
  fails("ServiceAccount", testPod({ serviceAccountName: "admin" }), "spec.serviceAccountName: must be"),
  fails("ServiceAccount by its old field", testPod({ serviceAccount: "admin" }), "spec.serviceAccount: must be"),
  passes("default ServiceAccount", testPod({ serviceAccountName: "default", serviceAccount: "default" })),
  fails("token", testPod({ automountServiceAccountToken: true }), "spec.automountServiceAccountToken: must be false"),
  fails(
    "token of nonsense",
    testPod({ automountServiceAccountToken: "false" }),
    "spec.automountServiceAccountToken: must be false",
  ),
  passes("no token", testPod({ automountServiceAccountToken: false })),
  fails(
    "projected token",
    projected({ serviceAccountToken: { path: "t" } }),
    "spec.volumes[0].projected.sources[1].serviceAccountToken: must be",
  ),
  fails(
    "projected certificate",
    projected({ podCertificate: {} }),
    "spec.volumes[0].projected.sources[1].podCertificate: must be",
  ),
  passes("other projected sources", projected({ downwardAPI: {}, configMap: { name: "c" }, clusterTrustBundle: {} })),
];
