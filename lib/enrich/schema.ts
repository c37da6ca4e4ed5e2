/** What becomes of an event: a point by SCHEMA, or nothing where a filter or the schema leaves it out. */
import type { EnrichSettings } from "../settings/enrich_settings.ts";
import { type FileOptions, NO_FILE } from "../settings/file_options.ts";
import { ENTITY_EVENT_TYPES, type Envelope } from "../contract.ts";
import {
  type AttributeLists,
  type Listed,
  listedFirst,
  listedIn,
} from "./rules/attribute_lists.ts";
import { entityValues } from "./rules/entity_values.ts";
import { perEntity } from "./rules/per_entity.ts";
import { entityIdsOf } from "./tidy/event_point.ts";
import { isGlob } from "../glob.ts";
import { entityFilter, type EntityRules, PASS_ALL } from "./rules/filter.ts";
import { homeAssistantPoint } from "./homeassistant/home_assistant.ts";
import type { StorePoint } from "./store.ts";
import { tidyPoint } from "./tidy/tidy.ts";

export type Enrichment =
  | {
    readonly kind: "point";
    readonly point: StorePoint;
    /** How many values of the event were left out, by reason. */
    readonly leftOut: ReadonlyMap<string, number>;
  }
  | { readonly kind: "skipped"; readonly reason: "filter" | "schema" };

/**
 * `eventText` cuts out the event's own text as Home Assistant sent it, which most events do without.
 * Throws EventProblem, whose message names the field, where the event can never become a point.
 */
export type Schema = (envelope: Envelope, eventText: () => string) => Enrichment;

type SchemaSettings = Pick<EnrichSettings, "schema" | "attributes"> & {
  readonly file: { readonly options: FileOptions } | undefined;
};

const NOTHING: ReadonlyMap<string, number> = new Map();
const FILTERED: Enrichment = { kind: "skipped", reason: "filter" };
const NOT_OF_SCHEMA: Enrichment = { kind: "skipped", reason: "schema" };

/** The schema that is set, with the filters and names of CONFIG_FILE. */
export function schemaOf({ schema, attributes, file }: SchemaSettings): Schema {
  const options = file?.options ?? NO_FILE;
  const passes = entityFilter({
    include: entityRules(options.include),
    exclude: entityRules(options.exclude),
  });
  // as the recorder does: an event of several entities is kept for the sake of any that pass
  const isFiltered = (envelope: Envelope) => {
    if (passes === PASS_ALL) return false;
    const entityIds = entityIdsOf(envelope.event.data);
    return entityIds.length > 0 && !entityIds.some(passes);
  };
  if (schema === "homeassistant") {
    const rules = homeAssistantRules(options);
    return (envelope, eventText) => {
      const point = homeAssistantPoint(envelope, eventText, rules);
      if (!point) return NOT_OF_SCHEMA;
      return isFiltered(envelope) ? FILTERED : { kind: "point", point, leftOut: NOTHING };
    };
  }
  const listedFor = attributeLists(options);
  const passesType = entityFilter({
    include: eventTypeRules(options.include),
    exclude: eventTypeRules(options.exclude),
  });
  const isOfOtherType = ({ event: { event_type: type } }: Envelope) =>
    !ENTITY_EVENT_TYPES.includes(type) && !passesType(type);
  return (envelope, eventText) =>
    isFiltered(envelope) || isOfOtherType(envelope)
      ? FILTERED
      : { kind: "point", ...tidyPoint(envelope, eventText, { attributes, listedFor }) };
}

function entityRules(
  { domains, entities, entity_globs: entityGlobs }: FileOptions["include"],
): EntityRules {
  return { domains, entities, entityGlobs };
}

/** By the rules of entities: a type stands for an entity's id. */
function eventTypeRules({ event_types: types }: FileOptions["include"]): EntityRules {
  return { domains: [], entities: types, entityGlobs: types.filter(isGlob) };
}

function entityConfigs(options: FileOptions) {
  const { component_config, component_config_domain, component_config_glob } = options;
  return entityValues(component_config, component_config_domain, component_config_glob);
}

function homeAssistantRules(options: FileOptions) {
  const configOf = entityConfigs(options);
  return {
    measurementAttr: options.measurement_attr ?? "unit_of_measurement",
    defaultMeasurement: options.default_measurement,
    overrideMeasurement: options.override_measurement,
    tags: options.tags,
    tagsAttributes: new Set(options.tags_attributes),
    ignoreAttributes: new Set(options.ignore_attributes),
    precision: options.precision ?? "ns",
    entityConfig: (entityId: string) => {
      const { override_measurement, ignore_attributes } = configOf(entityId);
      return { overrideMeasurement: override_measurement, ignoreAttributes: ignore_attributes };
    },
  } as const;
}

/** The lists of an entity: its own go before those for all. */
function attributeLists(options: FileOptions): (entityId: string) => Listed {
  const configOf = entityConfigs(options);
  const forAll = listedIn(withIgnored(options.attributes, options.ignore_attributes));
  return perEntity((entityId) => {
    const { attributes, ignore_attributes: ignored } = configOf(entityId);
    return attributes || ignored
      ? listedFirst(listedIn(withIgnored(attributes, ignored)), forAll)
      : forAll;
  });
}

function withIgnored(
  lists: AttributeLists = { include: [], exclude: [] },
  ignored: readonly string[] = [],
): AttributeLists {
  return { include: lists.include, exclude: [...lists.exclude, ...ignored] };
}
