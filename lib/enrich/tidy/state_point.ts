/** The point of a state: one measurement a domain, one series an entity and its names. */
import { type Envelope, isUnavailable, type State } from "../../contract.ts";
import { parseTimeUs } from "../../time.ts";
import {
  addAttributes,
  type AttributeChoice,
  type AttributeText,
  type LeftOut,
} from "./attributes.ts";
import { HIDDEN, isPasswordEntity, stateWithoutSecret } from "../never_stored.ts";
import type { FieldValue, StorePoint } from "../store.ts";
import { entityTagsOf } from "./tags.ts";
import { isPlainNumber, stateValue } from "./value.ts";

/** A domain of one of these names must not share a measurement with what is no state. */
const OWN_MEASUREMENT = /^(?:events|entities|statistics)_*$/;

/** What happened to an entity: it has a new state, or (null) was removed. */
export interface StateMoment {
  readonly entityId: string;
  readonly newState: State | null;
  readonly oldState: State | null;
  /** Microseconds since 1970. */
  readonly timeUs: number;
  /** Of the new state's attributes. */
  readonly attributeText: AttributeText;
}

/** The point of a state, or of a removal. What is left out of its attributes is counted. */
export function statePoint(
  envelope: Envelope,
  moment: StateMoment,
  choice: AttributeChoice,
  leftOut: LeftOut,
): StorePoint {
  const { entityId, newState, oldState, timeUs, attributeText } = moment;
  const domain = entityId.slice(0, entityId.indexOf("."));
  const tags = stateTags(envelope, moment);
  const isPassword = isPasswordEntity(
    domain,
    [newState, oldState].filter((state) => state !== null),
  );
  // the recorder keeps no mode: a row of it must not take the place of a text that is there
  const isUntold = (text: string) => isPassword && envelope.via === "history" && text === HIDDEN;
  const fields = new Map<string, FieldValue>();

  const state = newState === null ? "removed" : stateWithoutSecret(newState.state, isPassword);
  const isAvailable = newState !== null && !isUnavailable(state);
  fields.set("available", isAvailable ? 1 : 0);
  const value = isAvailable
    ? stateValue(domain, tags.get("device_class"), state, newState.attributes)
    : undefined;
  if (value !== undefined) fields.set("value", value);
  if (!isPlainNumber(state) && !isUntold(state)) fields.set("state", state);

  if (oldState !== null && oldState.state !== newState?.state) {
    const oldText = stateWithoutSecret(oldState.state, isPassword);
    if (!isPlainNumber(state) || !isPlainNumber(oldText)) {
      if (!isUntold(oldText)) fields.set("old_state", oldText);
      const lastedS = secondsBetween(
        lastChangedUs(oldState),
        newState === null ? timeUs : lastChangedUs(newState),
      );
      if (lastedS !== undefined) fields.set("old_state_s", lastedS);
    }
  }
  if (newState !== null) addAttributes(fields, newState.attributes, choice, leftOut, attributeText);
  return {
    measurement: OWN_MEASUREMENT.test(domain) ? `${domain}_` : domain,
    tags,
    fields,
    timeNs: BigInt(timeUs) * 1000n,
  };
}

function stateTags(
  { registry, source }: Envelope,
  { entityId, newState, oldState }: StateMoment,
): ReadonlyMap<string, string> {
  const attributes = (newState ?? oldState)?.attributes;
  return entityTagsOf({
    entity_id: entityId,
    name: registry ? registry.name : attributes?.friendly_name,
    area: registry?.area,
    floor: registry?.floor,
    device: registry?.device,
    device_class: attributes?.device_class,
    unit: attributes?.unit_of_measurement,
    source,
  });
}

function lastChangedUs(state: State): number | undefined {
  return state.last_changed === undefined ? undefined : parseTimeUs(state.last_changed);
}

function secondsBetween(fromUs: number | undefined, toUs: number | undefined): number | undefined {
  return fromUs === undefined || toUs === undefined ? undefined : (toUs - fromUs) / 1e6;
}
