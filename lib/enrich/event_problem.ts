/** What an event must be before it can become a point, and the error where it is not. */
import * as z from "zod";
import { describeIssues, type HassEvent, stateChangedSchema } from "../contract.ts";
import { parseTimeUs } from "../time.ts";
import { isPlainStateChanged } from "./plain_event.ts";

/** The event can never be stored: its data is not what its type promises. */
export class EventProblem extends Error {
  override readonly name = "EventProblem";
}

/** The event as the schema has it. Throws EventProblem, whose message names the field. */
export function parsed<T>(schema: z.ZodType<T>, event: HassEvent): T {
  const result = schema.safeParse(event);
  if (!result.success) throw new EventProblem(describeIssues(result.error));
  return result.data;
}

const stateChangedEvent = z.object({ data: stateChangedSchema });

/** The data of a `state_changed`. Throws EventProblem, whose message names the field. */
export function stateChangedIn(event: HassEvent): z.infer<typeof stateChangedSchema> {
  const { data } = event;
  return isPlainStateChanged(data) ? data : parsed(stateChangedEvent, event).data;
}

/** Microseconds since 1970. Throws EventProblem. */
export function usOf(time: string): number {
  const timeUs = parseTimeUs(time);
  if (timeUs === undefined) throw new EventProblem("time_fired: must be an ISO 8601 time");
  return timeUs;
}
