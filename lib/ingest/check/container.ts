/** Whether this process runs in a container. */
import type { Environment } from "../../settings/settings_reader.ts";
import { exists } from "../../settings/text_file.ts";

/** Files that Docker and Podman put there. */
export const CONTAINER_MARKS: readonly string[] = ["/.dockerenv", "/run/.containerenv"];

/** Also where the environment says so: Podman, systemd-nspawn and LXC set `container`. */
export function isInContainer(env: Environment, marks: readonly string[]): boolean {
  return Boolean(env.container || env.KUBERNETES_SERVICE_HOST) ||
    marks.some(exists);
}
