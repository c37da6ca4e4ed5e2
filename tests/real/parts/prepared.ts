/** What `.ci/run` has built or fetched, and tells in the environment. */

/** Throws, with what to do, where the variable is not set: a test that tests nothing must not pass. */
export function prepared(
  name: "COMPILED_DIR" | "DIST_DIR" | "SYSTEMD_TREE" | "VICTORIA_METRICS",
): string {
  const path = Deno.env.get(name);
  if (path) return path;
  throw new Error(`${name} is not set: run .ci/run, which prepares it, or set it as .ci/run does`);
}
