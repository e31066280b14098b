import assert from "node:assert/strict";
import type { Container, Pod } from "kubernetes-types/core/v1.d.ts";
import { injectedNames } from "../../lib/core/names.ts";

/** A pod has our two containers as they should be, and none that could go around them. */
export function assertPodGuarded(pod: Pod, ours: Container[]): void {
  const name = pod.metadata?.name;
  const { initContainers = [], containers, ephemeralContainers, volumes = [], ...spec } = pod.spec!;
  const own = ({ env: _, securityContext, args, ...rest }: Container) => {
    const { runAsUser: _user, runAsGroup: _group, ...security } = securityContext ?? {};
    return { ...rest, security, args: args?.filter((arg) => !arg.startsWith("proxy-uid=")) };
  };
  assert.deepEqual(initContainers.slice(0, 2).map(own), ours.map(own), `${name}: our containers`);
  const proxyUid = initContainers[1]!.securityContext!.runAsUser;
  assert.ok(initContainers[0]!.args!.includes(`proxy-uid=${proxyUid}`), `${name}: the rules are for another uid`);
  assert.equal(ephemeralContainers, undefined);
  const shared = { hostNetwork: undefined, hostPID: undefined, hostIPC: undefined, ...spec };
  assert.ok(![shared.hostNetwork, shared.hostPID, shared.hostIPC, spec.shareProcessNamespace].includes(true), name);
  for (const { name: of, securityContext, volumeMounts = [] } of [...initContainers.slice(2), ...containers]) {
    const uid = securityContext?.runAsUser ?? spec.securityContext?.runAsUser;
    assert.ok(uid !== undefined && uid !== 0 && uid !== proxyUid, `${name}/${of}: uid ${uid}`);
    assert.ok(securityContext?.capabilities?.drop?.includes("ALL"), `${name}/${of}: capabilities`);
    assert.deepEqual([securityContext?.privileged ?? false, securityContext?.allowPrivilegeEscalation], [false, false]);
    assert.ok(volumeMounts.every((mount) => !mount.name.startsWith("data-space-")), `${name}/${of}: our volume`);
  }
  const ourVolumes = volumes.filter((volume) => volume.name.startsWith("data-space-"));
  assert.deepEqual(
    ourVolumes.map(({ name }) => name).sort(),
    [injectedNames.configVolume, injectedNames.runVolume].sort(),
  );
  assert.ok(volumes.every((volume) => !("hostPath" in volume)), `${name}: hostPath`);
}
