import { proxyDown } from "./down.ts";

proxyDown("nft");
