import { certificatesOf } from "../../kube/pem.ts";

/** A TLS server to try. */
export interface DialTarget {
  /** Address to connect to. */
  hostname: string;
  port: number;
  /** Host name that its certificate must be for. */
  name: string;
  /** Authorities to trust, PEM. */
  ca: string;
}

/** What came of it. */
export type Dialled =
  | { kind: "trusted" }
  /** No connection: from here it cannot be told. */
  | { kind: "unreachable"; why: string }
  /** It answers, but with a certificate that a caller refuses. */
  | { kind: "untrusted"; why: string };

/** Shakes hands with a TLS server. */
export type Dial = (target: DialTarget) => Promise<Dialled>;

/** For connection and handshake, ms: pods are near, and where they are not, nobody wants to wait. */
const PATIENCE_MS = 2_000;

/** Over the network. */
export const dial: Dial = async ({ hostname, port, name, ca }) => {
  let connection: Deno.TcpConn;
  try {
    connection = await Deno.connect({ hostname, port, signal: AbortSignal.timeout(PATIENCE_MS) });
  } catch (error) {
    return { kind: "unreachable", why: (error as Error).message };
  }
  let given: Deno.Conn = connection;
  let late = false;
  const timer = setTimeout(() => {
    late = true;
    given.close();
  }, PATIENCE_MS);
  try {
    const tls = await Deno.startTls(connection, { hostname: name, caCerts: certificatesOf(ca) });
    given = tls;
    await tls.handshake();
    return { kind: "trusted" };
  } catch (error) {
    const why = (error as Error).message;
    return late || !/certificate/i.test(why)
      ? { kind: "unreachable", why: late ? "no answer" : why }
      : { kind: "untrusted", why };
  } finally {
    clearTimeout(timer);
    if (!late) given.close();
  }
};
