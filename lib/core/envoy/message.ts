/** A message of Envoy's API in its JSON form, proto field names. */
export type Message = { [field: string]: unknown };

/** A message with its type, as `Any` fields want it: `typed("envoy.config.listener.v3.Listener", { name: "x" })`. */
export function typed(type: string, fields: Message = {}): Message {
  return { "@type": `type.googleapis.com/${type}`, ...fields };
}

/** An extension: its name and its typed configuration. */
export function extension(name: string, type: string, fields: Message = {}): Message {
  return { name, typed_config: typed(type, fields) };
}

/** `address` and `additional_addresses` of a listener on a TCP port, IPv4 and IPv6. */
export function listenOn(port: number, scope: "loopback" | "any"): Message {
  const at = (address: string) => ({ socket_address: { address, port_value: port } });
  const [v4, v6] = scope === "loopback" ? ["127.0.0.1", "::1"] : ["0.0.0.0", "::"];
  return { address: at(v4!), additional_addresses: [{ address: at(v6!) }] };
}
