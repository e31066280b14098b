import { proxyDuties } from "./duties.ts";

proxyDuties("legacy");
