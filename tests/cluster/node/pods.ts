import type { Container, PodSpec } from "kubernetes-types/core/v1.d.ts";
import type { Cluster, Output } from "../cluster.ts";
import { IMAGES } from "./base_images.ts";

/** A Pod of busybox that runs a shell script. */
export function busybox(
  script: string,
  options: { container?: Partial<Container>; pod?: Partial<PodSpec> } = {},
): PodSpec {
  return {
    terminationGracePeriodSeconds: 0,
    containers: [{
      name: "main",
      image: IMAGES.busybox,
      imagePullPolicy: "Never",
      command: ["sh", "-c", script],
      ...options.container,
    }],
    ...options.pod,
  };
}

/** Serves the file `/tmp/www/index.html` with that text on port 8080, IPv4 and IPv6. */
export function serving(text: string): PodSpec {
  return busybox(`mkdir -p /tmp/www; echo ${text} > /tmp/www/index.html; exec httpd -f -p 8080 -h /tmp/www`, {
    container: { readinessProbe: { httpGet: { path: "/", port: 8080 }, periodSeconds: 1 } },
  });
}

/** Runs a command in a Pod, or in `deployment/NAME`. */
export async function exec(cluster: Cluster, namespace: string, pod: string, ...command: string[]): Promise<Output> {
  return await cluster.kubectl(["exec", "-n", namespace, pod, "--", ...command]);
}

/** What a Pod gets from an HTTP server; empty after `seconds` without an answer. */
export async function get(
  cluster: Cluster,
  from: { namespace: string; pod: string },
  to: { address: string; port: number; seconds?: number },
): Promise<string> {
  const { address, port, seconds = 2 } = to;
  const script = `printf 'GET / HTTP/1.0\\r\\n\\r\\n' | timeout ${seconds} nc ${address} ${port}`;
  const { stdout } = await exec(cluster, from.namespace, from.pod, "sh", "-c", script);
  return stdout.split("\r\n\r\n")[1]?.trim() ?? "";
}
