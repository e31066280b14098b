import { parseSettings } from "../../lib/core/parse_settings.ts";
import type { Settings } from "../../lib/core/settings.ts";

/** Default settings with a resolver, as tests want them. */
export function testSettings(changed: Partial<Settings> = {}): Settings {
  return { ...parseSettings({}), resolvers: ["10.96.0.10"], ...changed };
}
