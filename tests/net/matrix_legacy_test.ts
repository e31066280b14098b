import { bypassMatrix } from "./matrix.ts";

bypassMatrix("legacy");
