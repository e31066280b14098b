// Forwards TCP connections, as a process: `forward.ts LISTEN_PORT TARGET_PORT`, both on 127.0.0.1. Its owner stops or kills it.

const [from, to] = Deno.args.map(Number);

async function forward(client: Deno.TcpConn): Promise<void> {
  const server = await Deno.connect({ hostname: "127.0.0.1", port: to! });
  await Promise.allSettled([
    client.readable.pipeTo(server.writable),
    server.readable.pipeTo(client.writable),
  ]);
}

for await (const client of Deno.listen({ hostname: "127.0.0.1", port: from! })) {
  forward(client).catch(() => client.close()); // the API server is down
}
