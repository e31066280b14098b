import { arrivingTraffic } from "./arriving.ts";

arrivingTraffic("legacy");
