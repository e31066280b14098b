import { proxyDown } from "./down.ts";

proxyDown("legacy");
