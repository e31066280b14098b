import { closingConnections } from "./closing.ts";

closingConnections("legacy");
