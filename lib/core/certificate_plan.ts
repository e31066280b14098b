/** Certificates are dated back by this, ms: a client's clock may be behind ours. */
export const BACKDATE_MS = 3_600_000;
