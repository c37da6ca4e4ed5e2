/** The registries' lists as ingest reads them, out of what Home Assistant would answer. */
import { registryEntries, type RegistryLists } from "../lib/ingest/capture/registry_lists.ts";
import { readList } from "../lib/ingest/hass/answer_list.ts";
import { presentStateOf } from "../lib/ingest/hass/present_states.ts";

/** Lists that are not given are empty. */
export function registryLists(
  { areas = [], floors = [], labels = [], devices = [], entities = [], states = [] }: Partial<
    Record<keyof RegistryLists, readonly unknown[]>
  > = {},
): RegistryLists {
  return {
    areas: readList(registryEntries.areas, areas).read,
    floors: readList(registryEntries.floors, floors).read,
    labels: readList(registryEntries.labels, labels).read,
    devices: readList(registryEntries.devices, devices).read,
    entities: readList(registryEntries.entities, entities).read,
    states: states.flatMap((value) => presentStateOf({ value, text: JSON.stringify(value) })),
  };
}
