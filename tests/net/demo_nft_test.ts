import { demoApps } from "./demo.ts";

demoApps("nft");
