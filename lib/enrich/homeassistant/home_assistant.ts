/**
 * SCHEMA=homeassistant: the point that Home Assistant's own `influxdb` integration makes of a
 * state_changed (homeassistant/components/influxdb/__init__.py of 2026.11), line by line. It
 * differs where the integration would lose the point or tell a secret:
 * - A tag `time`, which InfluxDB refuses, is `time_`.
 * - A unit that is nothing but line breaks counts as an empty one.
 * - A state that reads as nan or inf, which InfluxDB refuses as a number, is the text `state`.
 * - Attributes `access_token`, and texts with `token=`, are left out; inside lists and objects
 *   they, and what stands under a key like `password` or `code`, are `***`; so is the text of a
 *   password field. Of history, which does not say whether it is one, that text is left out, so
 *   that it takes the place of nothing that the integration has stored.
 *
 * Not to be had from JSON are Python's own values: tuples (lists here), datetimes (texts with a
 * `T`), enums, sets.
 */
import { type Envelope, isUnavailable, type JsonObject, type State } from "../../contract.ts";
import { members, memberText } from "../../json_text.ts";
import { stateChangedIn, usOf } from "../event_problem.ts";
import { pythonFloat, pythonText, singleLine } from "./python.ts";
import {
  HIDDEN,
  isPasswordEntity,
  isSecretAttribute,
  stateWithoutSecret,
  withoutSecret,
} from "../never_stored.ts";
import type { FieldValue, StorePoint } from "../store.ts";

/** What is configured for one entity. */
export interface EntityConfig {
  readonly overrideMeasurement?: string;
  readonly ignoreAttributes?: readonly string[];
}

/** The integration's options, in its own terms. */
export interface HomeAssistantRules {
  readonly measurementAttr: "unit_of_measurement" | "domain__device_class" | "entity_id";
  readonly defaultMeasurement?: string;
  readonly overrideMeasurement?: string;
  readonly tags: ReadonlyMap<string, string>;
  readonly tagsAttributes: ReadonlySet<string>;
  readonly ignoreAttributes: ReadonlySet<string>;
  readonly precision: "s" | "ms" | "us" | "ns";
  readonly entityConfig: (entityId: string) => EntityConfig;
}

const UNIT_NS = { s: 1_000_000_000n, ms: 1_000_000n, us: 1_000n, ns: 1n } as const;

/** homeassistant/helpers/state.py, `state_as_number` */
const STATE_AS_NUMBER: ReadonlyMap<string, number> = new Map([
  ...["on", "locked", "above_horizon", "open", "home"].map((state) => [state, 1] as const),
  ...["off", "unlocked", "below_horizon", "closed", "not_home"].map((state) => [state, 0] as const),
]);

/**
 * The point of a state_changed, or undefined where the integration stores none: of any other
 * event, a removal, a state that is unknown, unavailable or empty. `eventText` gives the event's own
 * text as Home Assistant sent it. Whether the entity is filtered is not asked here.
 *
 * Throws EventProblem, whose message names the field, where the data breaks its type's shape.
 */
export function homeAssistantPoint(
  { event, via }: Envelope,
  eventText: () => string,
  rules: HomeAssistantRules,
): StorePoint | undefined {
  if (event.event_type !== "state_changed") return undefined;
  const { entity_id: entityId, new_state: newState, old_state: oldState } = stateChangedIn(event);
  if (newState === null || newState.state === "" || isUnavailable(newState.state)) return undefined;

  const [domain = "", objectId = ""] = entityId.split(".");
  const states = oldState ? [newState, oldState] : [newState];
  const fields = stateFields(newState, isPasswordEntity(domain, states));
  const tags = new Map([["domain", domain], ["entity_id", objectId]]);
  const attributes = new Attributes(newState.attributes, eventText);
  const config = rules.entityConfig(entityId);
  const { measurement, told } = measurementOf(entityId, domain, attributes, config, rules);

  for (const name of attributes.names()) {
    if (rules.tagsAttributes.has(name)) tags.set(name, attributes.text(name) ?? "");
    else if (
      name !== told && !rules.ignoreAttributes.has(name) && !config.ignoreAttributes?.includes(name)
    ) addAttribute(fields, name, attributes);
  }
  // till now these kept their places from attributes of that name
  if (via === "history" && fields.get("state") === HIDDEN) fields.delete("state");
  if (fields.get("value") === NOT_FINITE) fields.delete("value");
  for (const [name, value] of rules.tags) tags.set(name, singleLine(value));
  for (const [name, value] of tags) if (value === "") tags.delete(name);
  moveTime(fields);
  moveTime(tags);

  if (fields.size === 0) return undefined;
  const timeNs = BigInt(usOf(event.time_fired)) * 1000n;
  return { measurement, tags, fields, timeNs: timeNs - timeNs % UNIT_NS[rules.precision] };
}

/** InfluxDB keeps the name `time` for itself: `time_`, or `time__` where that is taken, and so on. */
function moveTime<T>(named: Map<string, T>): void {
  const value = named.get("time");
  if (value === undefined) return;
  let name = "time_";
  while (named.has(name)) name += "_";
  named.delete("time");
  named.set(name, value);
}

/** Stands in the place of a number that InfluxDB refuses. */
const NOT_FINITE = "";

function stateFields({ state: told }: State, isPassword: boolean): Map<string, FieldValue> {
  const state = stateWithoutSecret(told, isPassword);
  const number = pythonFloat(state);
  if (number !== undefined && Number.isFinite(number)) return new Map([["value", number]]);
  const fields = new Map<string, FieldValue>([["state", singleLine(state)]]);
  const value = number === undefined ? STATE_AS_NUMBER.get(state) : NOT_FINITE;
  if (value !== undefined) fields.set("value", value);
  return fields;
}

interface Measurement {
  readonly measurement: string;
  /** The attribute that the measurement tells, and that is no field then. */
  readonly told?: string;
}

function measurementOf(
  entityId: string,
  domain: string,
  attributes: Attributes,
  config: EntityConfig,
  rules: HomeAssistantRules,
): Measurement {
  const override = singleLine(config.overrideMeasurement || rules.overrideMeasurement || "");
  if (override) return { measurement: override };
  switch (rules.measurementAttr) {
    case "entity_id":
      return { measurement: entityId };
    case "domain__device_class": {
      const deviceClass = attributes.text("device_class");
      if (deviceClass === undefined) return { measurement: domain };
      return { measurement: `${domain}__${deviceClass}`, told: "device_class" };
    }
    case "unit_of_measurement": {
      const unit = attributes.text("unit_of_measurement");
      if (unit) return { measurement: unit, told: "unit_of_measurement" };
      return { measurement: singleLine(rules.defaultMeasurement ?? "") || entityId };
    }
  }
}

function addAttribute(
  fields: Map<string, FieldValue>,
  name: string,
  attributes: Attributes,
): void {
  const key = fields.has(name) ? `${name}_` : name;
  const number = attributes.float(name);
  if (number === undefined) {
    const text = attributes.text(name) ?? "None";
    fields.set(`${key}_str`, text);
    const digits = numberOfDigits(text);
    if (digits !== undefined) fields.set(key, digits);
  } else fields.set(key, number);
  const stored = fields.get(key);
  if (typeof stored === "number" && !Number.isFinite(stored)) fields.delete(key);
}

/**
 * The digits and the point of a text as a number, where it has one point at most, between two
 * digits, or two digits side by side: `99 %`, `12:34`, `[255, 0]`.
 */
function numberOfDigits(text: string): number | undefined {
  const hasDigits = text.includes(".") ? /\p{Nd}\.\p{Nd}/u.test(text) : /\p{Nd}{2}/u.test(text);
  // what has two points is no number
  return hasDigits ? pythonFloat(text.replace(/[^\p{Nd}.]+/gu, "")) : undefined;
}

/** A state's attributes as Python has them, secrets apart. */
class Attributes {
  readonly #values: JsonObject;
  readonly #eventText: () => string;
  #texts: ReadonlyMap<string, string> | undefined;

  constructor(values: JsonObject, eventText: () => string) {
    this.#values = values;
    this.#eventText = eventText;
  }

  names(): readonly string[] {
    const names = Object.keys(this.#values).filter((name) => !this.#isSecret(name));
    // JSON.parse moves those that are whole numbers to the front
    if (!/^\d/.test(names[0] ?? "")) return names;
    return [...this.#exactTexts().keys()].filter((name) => !this.#isSecret(name));
  }

  /** `float()`, or undefined where Python raises an error. */
  float(name: string): number | undefined {
    const value = this.#values[name];
    if (typeof value === "string") return pythonFloat(value);
    return typeof value === "number" || typeof value === "boolean" ? Number(value) : undefined;
  }

  /** `str()` on one line, or undefined where there is none or it is null. */
  text(name: string): string | undefined {
    const value = this.#values[name];
    if (value === undefined || value === null || this.#isSecret(name)) return undefined;
    if (typeof value === "string") return singleLine(value);
    return pythonText(
      this.#exactTexts().get(name) ?? JSON.stringify(value),
      (key, text) => withoutSecret(key, text) !== text,
    );
  }

  #isSecret(name: string): boolean {
    return isSecretAttribute(name, this.#values[name]);
  }

  /** Cut out of the event only where one is asked for, which most events do without. */
  #exactTexts(): ReadonlyMap<string, string> {
    this.#texts ??= new Map(members(
      ["data", "new_state", "attributes"]
        .reduce((json, name) => memberText(json, name) ?? "", this.#eventText()),
    ));
    return this.#texts;
  }
}
