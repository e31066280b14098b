import type { Message } from "./message.ts";

/**
 * TCP keepalive of both sides of every connection that passes the proxy. The pod's rules follow connections by conntrack, which forgets one that
 * is closed on one side after 60 s of silence; the answer that comes later would be dropped. Each probe begins these 60 s anew. A peer that is
 * gone is found out after half an hour, so that an interruption of the network is not what ends a connection.
 */
export const keepalive: Message = { keepalive_time: 30, keepalive_interval: 30, keepalive_probes: 60 };
