import { closingConnections } from "./closing.ts";

closingConnections("nft");
