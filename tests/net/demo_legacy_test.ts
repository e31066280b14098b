import { demoApps } from "./demo.ts";

demoApps("legacy");
