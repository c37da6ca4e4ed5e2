/**
 * SCHEMA=tidy: every event becomes exactly one point. One measurement a domain for states,
 * `entities` for what the registries say, `statistics` for long-term statistics, `events` for all
 * the rest.
 */
import * as z from "zod";
import {
  entityInfoSchema,
  type Envelope,
  type HassEvent,
  stateSnapshotSchema,
  statisticsSchema,
} from "../../contract.ts";
import { hasLongInteger, members, memberText } from "../../json_text.ts";
import type { AttributeChoice, AttributeMode, AttributeText, LeftOut } from "./attributes.ts";
import { nanosecondsOf } from "../event_id.ts";
import { parsed, stateChangedIn, usOf } from "../event_problem.ts";
import { entityPoint, eventPoint } from "./event_point.ts";
import { statePoint } from "./state_point.ts";
import { statisticsPoint } from "./statistics_point.ts";
import type { StorePoint } from "../store.ts";

export interface TidyOptions {
  readonly attributes: AttributeMode;
  /** What is said of an entity's attributes one by one. */
  readonly listedFor?: (entityId: string) => AttributeChoice["listed"];
}

export interface TidyResult {
  readonly point: StorePoint;
  /** How many values of the event were left out, by reason. */
  readonly leftOut: ReadonlyMap<string, number>;
}

// with `data` around it, an issue's path names the field as the event has it
const stateSnapshotEvent = z.object({ data: stateSnapshotSchema });
const entityInfoEvent = z.object({ data: entityInfoSchema });
const statisticsEvent = z.object({ data: statisticsSchema });

/**
 * The point of an event. `eventText` gives the event's own text as Home Assistant sent it: it
 * tells the events of one microsecond apart, and has all the digits of its numbers.
 *
 * Throws EventProblem, whose message names the field, where the data breaks its type's shape.
 */
export function tidyPoint(
  envelope: Envelope,
  eventText: () => string,
  options: TidyOptions,
): TidyResult {
  const leftOut: LeftOut = new Map();
  return { point: pointOf(envelope, eventText, options, leftOut), leftOut };
}

function pointOf(
  envelope: Envelope,
  eventText: () => string,
  { attributes: mode, listedFor }: TidyOptions,
  leftOut: LeftOut,
): StorePoint {
  const { event } = envelope;
  const choiceFor = (entityId: string): AttributeChoice => ({
    mode,
    listed: listedFor?.(entityId) ?? (() => undefined),
  });
  const attributeText = attributeTexts(eventText);
  switch (event.event_type) {
    case "state_changed": {
      const { entity_id: entityId, new_state: newState, old_state: oldState = null } =
        stateChangedIn(event);
      const timeUs = usOf(newState?.last_updated ?? event.time_fired);
      return statePoint(
        envelope,
        { entityId, newState, oldState, timeUs, attributeText },
        choiceFor(entityId),
        leftOut,
      );
    }
    case "state_snapshot": {
      const { entity_id: entityId, new_state: newState } = parsed(stateSnapshotEvent, event).data;
      const timeUs = usOf(event.time_fired);
      return statePoint(
        envelope,
        { entityId, newState, oldState: null, timeUs, attributeText },
        choiceFor(entityId),
        leftOut,
      );
    }
    case "entity_info": {
      const info = parsed(entityInfoEvent, event).data;
      return entityPoint(info, envelope, ownTimeNs(event, eventText()));
    }
    case "statistics": {
      const hour = parsed(statisticsEvent, event).data;
      return statisticsPoint(envelope, hour, usOf(hour.start));
    }
    default: {
      const text = eventText();
      return eventPoint(envelope, text, mode, leftOut, ownTimeNs(event, text));
    }
  }
}

/** Looked for only when one is asked for, and long integers are there. */
function attributeTexts(eventText: () => string): AttributeText {
  let texts: ReadonlyMap<string, string> | undefined;
  return (name) => (texts ??= textsIn(eventText())).get(name);
}

function textsIn(eventText: string): ReadonlyMap<string, string> {
  if (!hasLongInteger(eventText)) return new Map();
  return new Map(members(
    ["data", "new_state", "attributes"]
      .reduce((json, member) => memberText(json, member) ?? "", eventText),
  ));
}

function ownTimeNs(event: HassEvent, eventText: string): bigint {
  return BigInt(usOf(event.time_fired)) * 1000n + BigInt(nanosecondsOf(eventText));
}
