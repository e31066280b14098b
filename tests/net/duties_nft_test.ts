import { proxyDuties } from "./duties.ts";

proxyDuties("nft");
