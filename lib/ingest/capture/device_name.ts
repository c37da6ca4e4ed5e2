/** What a device is called. */
import type { RegistryLists } from "./registry_lists.ts";

export type RegistryDevice = RegistryLists["devices"][number];

/** As its owner calls it, or its integration. */
export function ownName(device: RegistryDevice | undefined): string | null | undefined {
  return device?.name_by_user || device?.name;
}

/** A child's own name ("Outlet 1") says little without its parent's. */
export function fullName(
  device: RegistryDevice | undefined,
  parent: RegistryDevice | undefined,
): string | undefined {
  return [ownName(parent), ownName(device)].filter(Boolean).join(" / ");
}
