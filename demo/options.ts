import { parseArgs } from "node:util";

/** What `deno task demo` is asked for. */
export interface Options {
  /** An existing cluster: context of the kubeconfig. */
  context?: string;
  /** Only there, although something else would be chosen. */
  on?: "kind" | "node";
  /** Names of the images on an existing cluster, with NAME for what differs. */
  images: string;
  /** Envoy there. */
  proxyImage: string;
  /** Leave all running in the end. */
  keep: boolean;
  /** Only remove what an earlier run left. */
  clean: boolean;
  /** SVG file to draw the story into. */
  record?: string;
  /** Only say what there is. */
  help: boolean;
}

/** Names of the images of `deploy/base`, and what the apps would be called beside them. */
export const IMAGES = {
  template: "ghcr.io/data-spacer/NAME:0.1.0",
  proxy: "docker.io/envoyproxy/envoy:distroless-v1.40.0",
} as const;

/** What `--help` says. */
export const HELP = `The Hospital/Pharma story on a real cluster, step by step.

  deno task demo [options]

It is told on a new kind cluster where Docker and kind are there, else on a node of its own on this
machine (Linux, root).

  --context NAME      on an existing cluster, which must have a NetworkPolicy engine
  --images REF        its images, NAME standing for data-spacer, data-spacer-init, hospital-app and
                      pharma-app; default ${IMAGES.template}
  --proxy-image REF   and Envoy; default ${IMAGES.proxy}
  --on kind|node      only there
  --keep              leave all running, and say how to look around
  --clean             remove what was kept
  --record FILE       draw the story into an SVG file
  --help              this
`;

/** @throws {Error} naming the argument that is wrong. */
export function parseOptions(args: readonly string[]): Options {
  const { values } = parse(args);
  const { context, on, images = IMAGES.template, "proxy-image": proxyImage = IMAGES.proxy, record } = values;
  if (on !== undefined && on !== "kind" && on !== "node") {
    throw new Error(`Cannot tell the story: --on must be kind or node, but is "${on}"`);
  }
  if (on !== undefined && context !== undefined) {
    throw new Error("Cannot tell the story: --on and --context exclude each other");
  }
  if (context === "") throw new Error("Cannot tell the story: --context must name a context of the kubeconfig");
  if (!images.includes("NAME")) {
    throw new Error(`Cannot tell the story: --images must have NAME in it, but is "${images}"`);
  }
  if (context === undefined && (values.images ?? values["proxy-image"]) !== undefined) {
    throw new Error(
      "Cannot tell the story: --images and --proxy-image belong to --context; elsewhere images are built",
    );
  }
  return {
    images,
    proxyImage,
    keep: values.keep ?? false,
    clean: values.clean ?? false,
    help: values.help ?? false,
    ...(context === undefined ? {} : { context }),
    ...(on === undefined ? {} : { on }),
    ...(record === undefined ? {} : { record }),
  };
}

function parse(args: readonly string[]) {
  try {
    return parseArgs({
      args: [...args],
      options: {
        context: { type: "string" },
        on: { type: "string" },
        images: { type: "string" },
        "proxy-image": { type: "string" },
        keep: { type: "boolean" },
        clean: { type: "boolean" },
        record: { type: "string" },
        help: { type: "boolean" },
      },
    });
  } catch (error) {
    throw new Error(`Cannot tell the story: ${(error as Error).message}; --help lists the options`, { cause: error });
  }
}
