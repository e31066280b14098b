import type { Row } from "./rows.ts";

/** A command that the consumer runs with the certificate that Liqo gives it, in its offloaded namespace. */
export interface ConsumerRow extends Row {
  /** As whom; by default the consumer. `liqo`: what Liqo's controller may be brought to do for it. */
  as?: "liqo";
  /** Who refuses: RBAC, a policy by its name up to the first dot, or the kubelet. */
  by?: "RBAC" | "kubelet" | (string & Record<never, never>);
  /** How the same is done in a namespace that is not offloaded, but the consumer's otherwise, with the same pod in it. */
  control?: "dry run" | "done";
}

const PROXY = "data-space-proxy";
const CONFIG = "data-space-envoy-config";

const refusedBy = (by: string, control?: ConsumerRow["control"]) =>
  ({ expected: "refused", by, ...(control && { control, bare: "gets through" as const }) }) as const;
const may = { expected: "gets through" } as const;
const patch = (what: string, body: unknown, flags = "") =>
  `kubectl patch ${what}${flags} --type=merge -p '${JSON.stringify(body)}'`;

const intoOurContainers: readonly ConsumerRow[] = [
  {
    what: "a process in the proxy",
    how: `kubectl exec {pod} -c ${PROXY} -- /usr/local/bin/envoy --version`,
    ...refusedBy("exec", "done"),
  },
  { what: "a process in the init container", how: "kubectl exec {pod} -c data-space-init -- sh", ...refusedBy("exec") },
  {
    what: "attach to the proxy",
    how: `kubectl attach {pod} -c ${PROXY} --pod-running-timeout=2s`,
    ...refusedBy("exec"),
  },
  { what: "a process in its own container", how: "kubectl exec {pod} -c main -- true", ...may },
  {
    what: "a port of the pod forwarded",
    how: "timeout 3 kubectl port-forward pod/{pod} :7100",
    ...refusedBy("port-forward", "done"),
  },
  {
    what: "the proxy's metrics, by a port forwarded",
    how: "timeout 3 kubectl port-forward pod/{pod} :15890",
    ...refusedBy("port-forward", "done"),
  },
  {
    what: "the pod by the API server's proxy",
    how: "kubectl get --raw /api/v1/namespaces/{namespace}/pods/{pod}:8080/proxy/",
    ...refusedBy("RBAC"),
  },
  { what: "the proxy's log", how: `kubectl logs {pod} -c ${PROXY} --tail=1`, ...may },
  { what: "our part of the pod's spec", how: "kubectl get pod {pod} -o yaml", ...may },
  {
    what: "a container added to the pod",
    how: "kubectl debug {pod} --image=localhost/tools:1 --profile=general",
    ...refusedBy("RBAC"),
  },
  {
    what: "the kubelet's own port, with the consumer's certificate",
    how: "curl -sSfk {certificate} https://{node}:10250/exec/{namespace}/{pod}/data-space-proxy?command=sh",
    ...refusedBy("kubelet"),
  },
  {
    what: "the kubelet's list of pods",
    how: "curl -sSfk {certificate} https://{node}:10250/pods",
    ...refusedBy("kubelet"),
  },
];

const pods: readonly ConsumerRow[] = [
  { what: "a pod made past Liqo", how: "kubectl run hostile --image=localhost/tools:1", ...refusedBy("RBAC") },
  { what: "the proxy's image", how: `kubectl set image pod/{pod} ${PROXY}=localhost/tools:1`, ...refusedBy("RBAC") },
  { what: "a pod deleted", how: "kubectl delete pod {pod} --wait=false", ...refusedBy("RBAC") },
  {
    what: "a pod evicted",
    how: "kubectl create --raw /api/v1/namespaces/{namespace}/pods/{pod}/eviction -f {eviction}",
    ...refusedBy("RBAC"),
  },
  {
    what: "the proxy's image, by way of Liqo",
    how: `kubectl set image pod/{pod} ${PROXY}=localhost/tools:1`,
    as: "liqo",
    ...refusedBy("pod-changes", "dry run"),
  },
  {
    what: "the init container's image, by way of Liqo",
    how: "kubectl set image pod/{pod} data-space-init=localhost/tools:1",
    as: "liqo",
    ...refusedBy("pod-changes", "dry run"),
  },
  {
    what: "another interface, asked for later by way of Liqo",
    how: "kubectl annotate pod {pod} k8s.v1.cni.cncf.io/networks=macvlan",
    as: "liqo",
    ...refusedBy("pod-changes", "dry run"),
  },
  {
    what:
      "our label on the pod taken away, by way of Liqo: nothing rests on it but traffic between pods of the namespace",
    how: "kubectl label pod {pod} data-space/netpol-allow-",
    as: "liqo",
    ...may,
  },
  {
    what: "less memory for the proxy",
    how: patch("pod {pod}", {
      spec: { initContainers: [{ name: PROXY, resources: { limits: { memory: "16Mi" } } }] },
    }, " --subresource=resize").replace("--type=merge", "--type=strategic"),
    ...refusedBy("RBAC"),
  },
];

const configuration: readonly ConsumerRow[] = [
  {
    what: "the proxy's listeners",
    how: patch(`configmap ${CONFIG}`, { data: { "lds.json": "{}" } }),
    ...refusedBy("proxy-configuration", "dry run"),
  },
  {
    what: "the proxy's configuration deleted",
    how: `kubectl delete configmap ${CONFIG}`,
    ...refusedBy("proxy-configuration", "dry run"),
  },
  {
    what: "all ConfigMaps deleted at once",
    how: "kubectl delete --raw /api/v1/namespaces/{namespace}/configmaps",
    ...refusedBy("RBAC"),
  },
  {
    what: "Liqo's labels on it, by which its virtual kubelet would take it over",
    how: `kubectl label configmap ${CONFIG} offloading.liqo.io/origin=pharma offloading.liqo.io/destination=hospital`,
    ...refusedBy("proxy-configuration", "dry run"),
  },
  { what: "the proxy's configuration read", how: `kubectl get configmap ${CONFIG}`, ...may },
  { what: "the NetworkPolicy read", how: "kubectl get networkpolicies", ...refusedBy("RBAC") },
  {
    what: "the NetworkPolicy deleted",
    how: "kubectl delete networkpolicy data-space-network-policy",
    ...refusedBy("RBAC"),
  },
  { what: "a NetworkPolicy that allows all", how: "kubectl create -f {allow-all}", ...refusedBy("RBAC") },
  {
    what: "an opt-out on the namespace",
    how: "kubectl label namespace {namespace} data-space/apply-webhook=false",
    ...refusedBy("RBAC"),
  },
  {
    what: "the same, by way of Liqo",
    how: "kubectl label namespace {namespace} data-space/apply-webhook=false",
    as: "liqo",
    ...refusedBy("namespace-labels", "dry run"),
  },
  {
    what: "a milder profile, by way of Liqo",
    how: "kubectl label namespace {namespace} data-space/pod-profile=observed",
    as: "liqo",
    ...refusedBy("namespace-labels", "dry run"),
  },
  {
    what: "another consumer's id, by way of Liqo",
    how: "kubectl label --overwrite namespace {namespace} liqo.io/remote-cluster-id=bank",
    as: "liqo",
    ...refusedBy("namespace-labels"),
  },
  { what: "the webhook deleted", how: "kubectl delete mutatingwebhookconfiguration data-spacer", ...refusedBy("RBAC") },
  {
    what: "a policy deleted",
    how: "kubectl delete validatingadmissionpolicy exec.data-spacer.provider",
    ...refusedBy("RBAC"),
  },
  {
    what: "the CA of the webhook's certificate",
    how: "kubectl -n data-spacer get secret data-spacer-ca",
    ...refusedBy("RBAC"),
  },
  {
    what: "the images and scripts that are accepted",
    how: patch("configmap data-spacer-contract -n data-spacer", { data: { x: "y" } }),
    ...refusedBy("RBAC"),
  },
  { what: "the leader's Lease", how: "kubectl -n data-spacer delete lease data-spacer", ...refusedBy("RBAC") },
  {
    what: "the exception for itself",
    how: "kubectl create rolebinding mine --clusterrole=data-spacer-exception --user={user}",
    ...refusedBy("RBAC"),
  },
  { what: "our Events deleted", how: "kubectl -n default delete events --all", ...refusedBy("RBAC") },
  { what: "Events of its own namespace deleted", how: "kubectl delete events --all", ...may },
  { what: "another consumer's namespace", how: "kubectl -n trial-bank get pods", ...refusedBy("RBAC") },
  { what: "the hospital's Secrets", how: "kubectl -n hospital-space get secrets", ...refusedBy("RBAC") },
];

const publishing: readonly ConsumerRow[] = [
  {
    what: "a Service on every node",
    how: "kubectl create service nodeport out --tcp=7100",
    ...refusedBy("services", "dry run"),
  },
  {
    what: "a Service with a load balancer",
    how: "kubectl create service loadbalancer out --tcp=7100",
    ...refusedBy("services", "dry run"),
  },
  {
    what: "a Service that is a name elsewhere",
    how: "kubectl create service externalname out --external-name=pharma.example",
    ...refusedBy("services", "dry run"),
  },
  {
    what: "an inner Service published later",
    how: patch("service lure", { spec: { type: "NodePort" } }),
    ...refusedBy("services", "dry run"),
  },
  {
    what: "an inner Service under an address of somebody else's",
    how: patch("service lure", { spec: { externalIPs: ["192.0.2.7"] } }),
    ...refusedBy("services", "dry run"),
  },
  {
    what: "an Ingress",
    how: "kubectl create ingress out --rule=hospital.example/*=lure:7100",
    ...refusedBy("ingresses", "dry run"),
  },
  { what: "an inner Service", how: "kubectl create service clusterip in --tcp=7100", ...may },
  {
    what: "endpoints of its Service that are a forbidden pod's",
    how: "kubectl create -f {endpoints}",
    ...refusedBy("RBAC"),
  },
  { what: "a Secret of its own", how: "kubectl create secret generic mine --from-literal=a=b", ...may },
];

/** What the consumer tries at the provider's API server and kubelet. */
export const consumerRows: readonly ConsumerRow[] = [...intoOurContainers, ...pods, ...configuration, ...publishing];

/** What the consumer chooses for its namespaces, which Liqo then creates. */
export const spoofRows = {
  claim: {
    what: "another consumer's id, in a namespace whose labels are mild, and a pod in it that runs as root",
    how: "liqo.io/originID: bank, on its NamespaceMap",
    expected: "refused",
  },
  name: {
    what: "a namespace with the name of a tenant namespace, and a pod in it",
    how: "liqo-tenant-evil",
    expected: "injected",
  },
} as const satisfies Record<string, Row>;
