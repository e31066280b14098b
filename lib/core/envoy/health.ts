import { ports } from "../names.ts";
import { onePath } from "./http.ts";
import { extension, type Message, typed } from "./message.ts";

/** Path of the proxy's health, for the kubelet. */
export const HEALTH_PATH = "/healthz/ready";

/** How long Envoy may take to answer itself, ms; the kubelet waits for a second. */
const TIMEOUT_MS = 400;

/**
 * Envoy calls itself ready although it has refused a listener, and then nothing passes that way: its health is asked of its statistics, which a
 * listener has as long as it listens, and then of `/ready`. Both are paths that the bootstrap of every release allows: a sidecar that runs takes
 * this script without a new bootstrap. An error in it leads on to the route, which says no.
 */
const SCRIPT = `
local function ask(handle, path)
  local headers, body = handle:httpCall("admin", {[":method"] = "GET", [":path"] = path, [":authority"] = "x"}, "", ${TIMEOUT_MS})
  return headers[":status"], body or ""
end
function envoy_on_request(handle)
  local _, listening = ask(handle, "/stats/prometheus?filter=downstream_cx_active")
  for _, address in ipairs({"127.0.0.1_${ports.outbound}", "0.0.0.0_${ports.inbound}"}) do
    if not listening:find('envoy_listener_downstream_cx_active{envoy_listener_address="' .. address .. '"}', 1, true) then
      handle:respond({[":status"] = "503"}, address .. " is not listened to\\n")
    end
  end
  local status, text = ask(handle, "/ready")
  handle:respond({[":status"] = status}, text)
end`;

/** A network filter that answers GET of `HEALTH_PATH`: 200 if Envoy is ready and both capture listeners listen, else 503. */
export function health(): Message {
  const script = typed("envoy.extensions.filters.http.lua.v3.LuaPerRoute", { source_code: { inline_string: SCRIPT } });
  const route = { direct_response: { status: 503 }, typed_per_filter_config: { "envoy.filters.http.lua": script } };
  return onePath("health", HEALTH_PATH, route, [
    extension("envoy.filters.http.lua", "envoy.extensions.filters.http.lua.v3.Lua"),
  ]);
}
