import { arrivingTraffic } from "./arriving.ts";

arrivingTraffic("nft");
