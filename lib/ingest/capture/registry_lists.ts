/**
 * The lists of Home Assistant's registries. Releases add and take away fields, so everything but the
 * ids is optional.
 */
import * as z from "zod";
import { entityInfoSchema } from "../../contract.ts";
import type { PresentState } from "../hass/present_states.ts";

const text = z.string().nullish().catch(undefined);
const texts = z.array(z.string()).nullish().catch(undefined);

/** An entry of each of the `config/*_registry/list`, as far as it is used. */
export const registryEntries = {
  areas: z.object({ area_id: z.string(), name: text, floor_id: text }),
  floors: z.object({ floor_id: z.string(), name: text }),
  labels: z.object({ label_id: z.string(), name: text }),
  devices: z.object({
    id: z.string(),
    name: text,
    name_by_user: text,
    area_id: text,
    /** Since 2026.9: the device that this one is a part of. */
    parent_device_id: text,
    manufacturer: text,
    model: text,
  }),
  entities: z.object({
    id: text,
    entity_id: entityInfoSchema.shape.entity_id,
    device_id: text,
    area_id: text,
    platform: text,
    entity_category: text,
    labels: texts,
    name: text,
    original_name: text,
    disabled_by: text,
    /** Until 2026.10. */
    has_entity_name: z.boolean().nullish().catch(undefined),
  }),
};
type ListKind = keyof typeof registryEntries;

export type RegistryLists =
  & { readonly [K in ListKind]: readonly z.infer<(typeof registryEntries)[K]>[] }
  & { readonly states: readonly PresentState[] };
export type RegistryKind = keyof RegistryLists;
