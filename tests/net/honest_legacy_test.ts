import { honestTraffic } from "./honest.ts";

honestTraffic("legacy");
