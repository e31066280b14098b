import { renderEnvoyConfig } from "../../lib/core/envoy_config.ts";
import { CONNTRACK_MARK, ports } from "../../lib/core/names.ts";
import { redirectArgs, redirectScript } from "../../lib/core/redirect_script.ts";
import { until } from "../cluster/processes.ts";
import type { AccessRecord } from "../support/access_record.ts";
import { Envoy } from "./envoy.ts";
import { type Identity, Namespace, type Service } from "./namespace.ts";
import { type Finished, must, prepare, run, type Tools } from "./tools.ts";

/** The proxy's uid in these tests, and the one of a restricted container. */
export const PROXY_UID = 21_337;
/** A tenant process as the `restricted` profile admits it. */
export const TENANT: Identity = { uid: 10_001 };

/** Back end of iptables. */
export type Backend = "nft" | "legacy";

/** A frame on the outer side of a pod's device. */
export interface Frame {
  /** Who sent it: the pod, or something outside of it. */
  from: "pod" | "outer";
  /** EtherType, hexadecimal. */
  kind: string;
  /** IP protocol. */
  proto?: number;
  /** Source address. */
  src?: string;
  /** Destination address. */
  dst?: string;
  /** Source port. */
  sport?: number;
  /** Destination port. */
  dport?: number;
  /** TCP flags, letters of FSRPA. */
  flags?: string;
  /** ICMP type. */
  type?: number;
}

const FRAME = { arp: "0806", tcp: 6, udp: 17, icmp6: 58 } as const;
/** Neighbour discovery and multicast reports, which the rules allow. */
const ALLOWED_ICMP6 = [131, 132, 133, 135, 136, 143];

/** Addresses of the small network: pods behind a node, a host and a resolver beyond it. */
export const addresses = {
  node: ["10.77.0.1", "fd77::1"],
  a: ["10.77.0.2", "fd77::2"],
  b: ["10.77.0.3", "fd77::3"],
  outside: ["10.78.0.2", "fd78::2"],
  resolver: ["10.78.0.53", "fd78::53"],
  edge: ["10.78.0.1", "fd78::1"],
} as const;

/** How to load the rules. */
export interface RedirectOptions {
  /** Changes the script first: controls leave a rule out. */
  edit?: (script: string) => string;
  /** Changes the arguments. */
  args?: (args: string[]) => string[];
  /** Goes before PATH: commands that fail on purpose. */
  path?: string;
}

/** How to start the proxy. */
export interface ProxyOptions {
  /** Changes its arguments. */
  args?: (args: string[]) => string[];
  /** Another folder with its configuration. */
  config?: string;
  /** File for its access log, which is not read then. */
  log?: string;
}

/** A pod: a namespace, the real rules, the real Envoy. */
export class Pod implements AsyncDisposable {
  /** Its proxy; replaced by `startProxy`. */
  envoy: Envoy | undefined;
  /** Whether the rules are loaded and the proxy runs. */
  guarded = false;
  readonly #stack = new AsyncDisposableStack();
  readonly #past: AccessRecord[] = [];
  #sniffer: Service<Frame> | undefined;

  /** Made by {@linkcode World}. */
  constructor(
    readonly name: "a" | "b",
    readonly namespace: Namespace,
    readonly world: World,
    /** Folder that is mounted as the proxy's configuration. */
    readonly config: string,
  ) {}

  /** IPv4 address. */
  get v4(): string {
    return addresses[this.name][0];
  }

  /** IPv6 address. */
  get v6(): string {
    return addresses[this.name][1];
  }

  /** Script and arguments of the init container. */
  initCommand(): { script: string; args: string[] } {
    const args = redirectArgs({
      proxyUid: PROXY_UID,
      resolvers: addresses.resolver,
      outboundPort: ports.outbound,
      inboundPort: ports.inbound,
      healthPort: ports.health,
      mark: CONNTRACK_MARK,
      backend: this.world.backend,
    });
    return { script: redirectScript, args };
  }

  /** Runs redirect.sh as the init container does: root with NET_ADMIN (NET_RAW for legacy) alone, nothing writable. */
  async redirect(options: RedirectOptions = {}): Promise<Finished> {
    const { args } = this.initCommand();
    const script = options.edit ? options.edit(redirectScript) : redirectScript;
    if (options.edit && script === redirectScript) throw new Error("Cannot make a control: the edit changed nothing");
    const readOnly = 'mount --bind / / && mount -o remount,bind,ro / && mount -t tmpfs -o ro tmpfs /run && exec "$@"';
    const caps = "-all,+net_admin,+net_raw";
    const command = [
      "setpriv",
      "--bounding-set",
      caps,
      "--inh-caps",
      "-all",
      "--no-new-privs",
      "--",
      "/bin/sh",
      "-c",
      script,
    ];
    return await run(
      this.namespace.enter([
        "unshare",
        "--mount",
        "sh",
        "-c",
        readOnly,
        "sh",
        ...command,
        ...(options.args?.(args) ?? args),
      ]),
      { env: { PATH: `${options.path ? `${options.path}:` : ""}${this.world.initPath}` } },
    );
  }

  /** Runs redirect.sh, which must succeed. */
  async protect(options: RedirectOptions = {}): Promise<void> {
    const { success, err } = await this.redirect(options);
    if (!success) throw new Error(`Cannot load the rules: ${err}`);
    this.guarded = this.envoy !== undefined && options.edit === undefined;
  }

  /** Empties all tables: a pod without rules. */
  async unprotect(): Promise<void> {
    this.guarded = false;
    for (const tool of ["iptables", "ip6tables"]) {
      for (const table of ["filter", "mangle", "nat"]) {
        const chains = { filter: "INPUT FORWARD OUTPUT", mangle: "", nat: "" }[table]!.split(" ").filter(Boolean);
        const text = `*${table}\n${chains.map((c) => `:${c} ACCEPT [0:0]\n`).join("")}COMMIT\n`;
        await must(this.namespace.enter([`${tool}-${this.world.backend}-restore`]), { stdin: text });
      }
    }
  }

  /** Starts the proxy and waits until it is ready. @returns ms until it listened. */
  async startProxy(options: ProxyOptions = {}): Promise<number> {
    const start = performance.now();
    this.envoy = Envoy.start({
      program: this.world.tools.envoy,
      namespace: this.namespace,
      config: options.config ?? this.config,
      uid: PROXY_UID,
      args: options.args,
      log: options.log,
      env: {
        CONSUMER_ID: "pharma",
        CLAIMED_CONSUMER_ID: "pharma",
        POD_NAMESPACE: "trial-pharma",
        POD_NAME: `pod-${this.name}`,
        NODE_IP: addresses.node.join(","),
        PROBES: " 8080/healthz 8080/ready?full=1 ",
      },
    });
    const { envoy } = this;
    try {
      await until(async () => {
        if (envoy.ended) throw new Error("it ended");
        return await this.namespace.call("listens", { port: ports.health, timeout: 0.3 }) || undefined;
      }, { ms: 10_000, what: "proxy that listens" });
    } catch (error) {
      throw new Error(`Cannot start Envoy: ${envoy.noise.slice(-5).join("\n")}`, { cause: error });
    }
    return performance.now() - start;
  }

  /** Ends the proxy. */
  async stopProxy(signal: Deno.Signal = "SIGKILL"): Promise<void> {
    const { envoy } = this;
    if (!envoy) return;
    this.envoy = undefined;
    await envoy.end(signal);
    this.#past.push(...envoy.records);
  }

  /** All records of all its proxies so far. */
  get records(): AccessRecord[] {
    return [...this.#past, ...this.envoy?.records ?? []];
  }

  /**
   * What happens around `act`: records of its proxy and frames on the outer side of its device. Waits until `enough` says that the records are
   * complete, then a moment more, so that a record too many would be seen.
   */
  async watch<T>(act: () => Promise<T>, options: WatchOptions<T> = {}): Promise<Seen<T>> {
    this.#sniffer ??= this.#stack.use(await this.world.node.serve<Frame>("sniff", { device: `pod-${this.name}` }));
    const frames = (await this.#sniffer.log()).length;
    const records = this.records.length;
    const result = await act();
    const ends = () => this.records.slice(records).filter(({ type }) => /End$|^NotSet$/.test(String(type)));
    const expected = typeof options.expected === "function" ? options.expected(result) : options.expected ?? 0;
    if (expected > 0) {
      await until(() => Promise.resolve(ends().length >= expected ? true : undefined), {
        ms: 10_000,
        what: `${expected} records`,
      })
        .catch(() => {});
    }
    await new Promise((resolve) => setTimeout(resolve, options.settle ?? 60));
    return { result, records: this.records.slice(records), ends: ends(), frames: await this.#sniffer.log(frames) };
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.stopProxy();
    await this.#stack.disposeAsync();
    await this.namespace[Symbol.asyncDispose]();
  }
}

/** Options of {@linkcode Pod.watch}. */
export interface WatchOptions<T> {
  /** Number of end records to wait for, or what tells it from the result of the act. */
  expected?: number | ((result: T) => number);
  /** Time to wait for what should not come, ms. */
  settle?: number;
}

/** What {@linkcode Pod.watch} saw. */
export interface Seen<T> {
  /** What `act` gave. */
  result: T;
  /** All records, in order. */
  records: AccessRecord[];
  /** Those that end a request or connection. */
  ends: AccessRecord[];
  /** Frames, in order. */
  frames: Frame[];
}

/** Frames that the pod sent and that no rule allows, whoever sent them: what is neither ARP, TCP, DNS to the resolver nor neighbour discovery. */
export function forbidden(frames: Frame[], resolvers: readonly string[] = addresses.resolver): Frame[] {
  return frames.filter((f) => {
    if (f.from !== "pod" || f.kind === FRAME.arp || f.proto === FRAME.tcp) return false;
    if (f.proto === FRAME.udp && f.dport === 53 && resolvers.includes(f.dst!)) return false;
    return !(f.proto === FRAME.icmp6 && ALLOWED_ICMP6.includes(f.type!));
  });
}

/** TCP frames that the pod sent from a port: a process of it got past the proxy. */
export function sentFrom(frames: Frame[], port: number): Frame[] {
  return frames.filter((f) => f.from === "pod" && f.proto === FRAME.tcp && f.sport === port);
}

/** Two pods, their node, and a host and a resolver beyond it; each a network namespace, joined by veth, IPv4 and IPv6. */
export class World implements AsyncDisposable {
  readonly #stack: AsyncDisposableStack;

  private constructor(
    /** Back end of the rules. */
    readonly backend: Backend,
    readonly tools: Tools,
    readonly node: Namespace,
    /** Also has the resolver's addresses. */
    readonly outside: Namespace,
    /** PATH of the init container: nc and tftp of busybox beside the system's iptables. */
    readonly initPath: string,
    /** Temporary folder. */
    readonly folder: string,
    stack: AsyncDisposableStack,
  ) {
    this.#stack = stack;
  }

  /** The pod whose processes attack. */
  a!: Pod;
  /** The other one. */
  b!: Pod;

  /** Builds it, pods with rules and proxy unless `bare`. */
  static async create(backend: Backend, options: { bare?: boolean } = {}): Promise<World> {
    const tools = await prepare();
    await using stack = new AsyncDisposableStack();
    const folder = await Deno.makeTempDir({ prefix: "data-spacer-net-" });
    stack.defer(() => Deno.remove(folder, { recursive: true }));
    const busybox = (await must(["sh", "-c", "command -v busybox"])).trim();
    await Deno.mkdir(`${folder}/init`);
    for (const applet of ["nc", "tftp"]) await Deno.symlink(busybox, `${folder}/init/${applet}`);
    const config = `${folder}/config`;
    await Deno.mkdir(config);
    await Deno.chmod(folder, 0o755);
    for (const [name, text] of Object.entries(renderEnvoyConfig())) {
      await Deno.writeTextFile(`${config}/${name}`, text);
    }

    const node = stack.use(await Namespace.create());
    const outside = stack.use(await Namespace.create());
    const initPath = `${folder}/init:/usr/sbin:/usr/bin:/sbin:/bin`;
    const world = new World(backend, tools, node, outside, initPath, folder, stack.move());
    try {
      await world.#connect();
      for (const name of ["a", "b"] as const) world[name] = await world.#pod(name, config);
      if (!options.bare) {
        await Promise.all([world.a, world.b].map(async (pod) => {
          await pod.protect();
          await pod.startProxy();
          pod.guarded = true;
        }));
      }
    } catch (error) {
      await world[Symbol.asyncDispose]();
      throw error;
    }
    return world;
  }

  /** Path of an interpreter that is set-uid to the proxy's uid. */
  async setUidProgram(): Promise<string> {
    const path = `${this.folder}/set-uid-python`;
    await Deno.copyFile(await Deno.realPath("/usr/bin/python3"), path);
    await Deno.chown(path, PROXY_UID, PROXY_UID);
    await Deno.chmod(path, 0o4755);
    return path;
  }

  async #connect(): Promise<void> {
    const { node, outside } = this;
    await node.ip("link add br0 type bridge");
    await node.ip(`address add ${addresses.node[0]}/24 dev br0`);
    await node.ip(`address add ${addresses.node[1]}/64 dev br0 nodad`);
    await node.ip("link set br0 up");
    await node.ip(`link add out type veth peer name eth0 netns ${outside.pid}`);
    await node.ip(`address add ${addresses.edge[0]}/24 dev out`);
    await node.ip(`address add ${addresses.edge[1]}/64 dev out nodad`);
    await node.ip("link set out up");
    await node.sysctl("net/ipv4/ip_forward", "1");
    await node.sysctl("net/ipv6/conf/all/forwarding", "1");
    for (const name of ["outside", "resolver"] as const) {
      await outside.ip(`address add ${addresses[name][0]}/24 dev eth0`);
      await outside.ip(`address add ${addresses[name][1]}/64 dev eth0 nodad`);
    }
    await outside.ip("link set eth0 up");
    await outside.ip(`route add default via ${addresses.edge[0]}`);
    await outside.ip(`-6 route add default via ${addresses.edge[1]}`);
  }

  async #pod(name: "a" | "b", config: string): Promise<Pod> {
    const { node } = this;
    const namespace = await Namespace.create();
    const pod = this.#stack.use(new Pod(name, namespace, this, config));
    await node.ip(`link add pod-${name} type veth peer name eth0 netns ${namespace.pid}`);
    await node.ip(`link set pod-${name} master br0 up`);
    await namespace.ip(`address add ${pod.v4}/24 dev eth0`);
    await namespace.ip(`address add ${pod.v6}/64 dev eth0 nodad`);
    await namespace.ip("link set eth0 up");
    await namespace.ip(`route add default via ${addresses.node[0]}`);
    await namespace.ip(`-6 route add default via ${addresses.node[1]}`);
    return pod;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#stack.disposeAsync();
  }
}
