import { bypassMatrix } from "./matrix.ts";

bypassMatrix("nft");
