import { honestTraffic } from "./honest.ts";

honestTraffic("nft");
