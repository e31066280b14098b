import { options } from "../lib/core/options.ts";

/** Where the program runs; what it may do follows from that. */
export type Place = "image" | "workstation";

/** Folder for files that the pod mounts: certificates, a kubeconfig. No other folder is read in the image. */
export const CONFIG_FOLDER = "/etc/data-spacer";

/** Environment variables that the program reads besides those of its settings. */
const KUBERNETES = ["KUBERNETES_SERVICE_HOST", "KUBERNETES_SERVICE_PORT"];

const COMMON = [
  "--no-prompt",
  // Ports, bind address and API server are settings. In the cluster the NetworkPolicy says who talks to whom.
  "--allow-net",
  // Half the memory, and no slower: a short life of most objects suits a small young generation.
  // The old one is collected when it has grown by a half, not fourfold: 30 MB less after a burst of reviews or of namespaces.
  "--v8-flags=--max-semi-space-size=1,--heap-growing-percent=50",
];

/** Flags of Deno that the program runs with, the same for `deno run` and `deno compile`. They are the only list of its permissions. */
export const runtimeFlags: Readonly<Record<Place, readonly string[]>> = {
  // No write, run, sys or ffi.
  image: [
    ...COMMON,
    `--allow-read=/var/run/secrets/kubernetes.io/serviceaccount,/etc/resolv.conf,${CONFIG_FOLDER}`,
    `--allow-env=${[...Object.values(options).map(({ env }) => env), ...KUBERNETES].join(",")}`,
    "--ignore-env", // any other variable, such as those that libraries look for, is not set
  ],
  // Any file may be given to -f or be named by a kubeconfig, which may also name a program that logs in.
  workstation: [...COMMON, "--allow-read", "--allow-env", "--allow-run"],
};

/**
 * Variables that the program's C library reads in the image. One arena for all threads: the second one that it makes otherwise costs 6 MB,
 * and nearly all allocations are those of one thread.
 */
export const imageEnvironment: Readonly<Record<string, string>> = { MALLOC_ARENA_MAX: "1" };
