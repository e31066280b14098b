import { connect } from "node:tls";

/** Where our own webhook port is reached from here. */
export interface SelfDialTarget {
  /** Address that the port listens on; of an unspecified one, loopback is dialled. */
  hostname: string;
  port: number;
  /** Host name that API servers call. */
  serverName: string;
}

/**
 * A real TLS handshake with our own port: whoever may call us can.
 *
 * Whether API servers trust the certificate is another check's to say, so it is not verified here.
 *
 * @throws {Error} saying why there was no handshake.
 */
export async function selfDial({ hostname, port, serverName }: SelfDialTarget, signal: AbortSignal): Promise<void> {
  const host = hostname === "0.0.0.0" ? "127.0.0.1" : hostname === "::" ? "::1" : hostname;
  const { promise, resolve, reject } = Promise.withResolvers<void>();
  const socket = connect({ host, port, servername: serverName, rejectUnauthorized: false }, () => resolve());
  const fail = (cause: unknown) =>
    reject(new Error(`Cannot shake hands with the webhook's own port ${port}`, { cause }));
  const abort = () => fail(signal.reason);
  socket.on("error", fail);
  socket.on("close", () => fail(new Error("the connection was closed")));
  signal.addEventListener("abort", abort, { once: true });
  try {
    await promise;
  } finally {
    signal.removeEventListener("abort", abort);
    socket.destroy();
  }
}
