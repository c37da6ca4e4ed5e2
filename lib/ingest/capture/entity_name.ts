/** The name of an entity, as Home Assistant shows it. Pure. */
import type { PresentState } from "../hass/present_states.ts";
import type { RegistryLists } from "./registry_lists.ts";

export type NamedState = Pick<PresentState, "state" | "friendlyName" | "isRestored">;

/**
 * Whether a state's `friendly_name` can be taken for the entity's name: while an integration is not
 * loaded the releases before 2026 leave the device's name out, and while it cannot reach the device
 * it may not know its name.
 */
export function isSettled({ state, isRestored }: NamedState): boolean {
  return state !== "unavailable" && !isRestored;
}

/**
 * The `friendly_name` that the state shows. While that is not settled the last known name goes on.
 * A disabled entity has no state, and the name that the registry gives.
 */
export function entityName(
  entry: RegistryLists["entities"][number],
  { state, deviceName, knownName }: {
    readonly state: NamedState | undefined;
    readonly deviceName: string | null | undefined;
    readonly knownName: string | null | undefined;
  },
): string | null | undefined {
  if (state && isSettled(state)) return state.friendlyName;
  const goesOn = entry.disabled_by ? undefined : knownName;
  return goesOn ?? state?.friendlyName ?? registryName(entry, deviceName);
}

/**
 * The best that the registry alone can tell: what the user or the integration calls the entity,
 * behind the device's name. Releases before 2026.11 say of which entities the device's name is not
 * a part (`has_entity_name` is false), and show a name that the user gave as it is.
 * https://developers.home-assistant.io/docs/core/entity#entity-naming
 */
function registryName(
  { name, original_name, has_entity_name }: RegistryLists["entities"][number],
  deviceName: string | null | undefined,
): string | null | undefined {
  if (typeof has_entity_name === "boolean" && (name || !has_entity_name)) {
    return name || original_name;
  }
  return [deviceName, name || original_name].filter(Boolean).join(" ");
}
