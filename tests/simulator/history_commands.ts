/** The commands of the integrations `history` and, as far as it is asked, `recorder`. */
import { parseTimeUs } from "../../lib/time.ts";
import { type Client, errorText } from "./client.ts";
import type { Call, Command } from "./commands.ts";
import { type HistoryQuery } from "./history_query.ts";
import { HistoryStream, type StreamSource, streamText } from "./history_stream.ts";
import type { Json, Schema } from "./schema.ts";

const HISTORY_SCHEMA: Schema = {
  start_time: "str",
  end_time: "str?",
  entity_ids: "list of str",
  include_start_time_state: "bool?",
  significant_changes_only: "bool?",
  minimal_response: "bool?",
  no_attributes: "bool?",
};

export const HISTORY_COMMANDS: Readonly<Record<string, Command>> = {
  "history/history_during_period": { schema: HISTORY_SCHEMA, run: historyDuringPeriod },
  "history/stream": { schema: HISTORY_SCHEMA, run: stream },
  "recorder/info": {
    schema: {},
    run: ({ core, client, id }) => client.send(resultText(id, core.recorder.infoText())),
  },
};

/** The text of an answer. */
export function resultText(id: number, result: string): string {
  return `{"id":${id},"type":"result","success":true,"result":${result}}`;
}

/** A time of a command in seconds since 1970; undefined where it is none. */
export function parseSeconds(text: unknown): number | undefined {
  const us = parseTimeUs(String(text)) ?? parseTimeUs(`${text}+00:00`);
  return us === undefined ? undefined : us / 1e6;
}

/** Whether Home Assistant takes the text for an entity id. */
export function isEntityId(text: string): boolean {
  return /^(?!.+__)(?!_)[\da-z_]+(?<!_)\.(?!_)[\da-z_]+(?<!_)$/.test(text);
}

// homeassistant/components/history/websocket_api.py, ws_get_history_during_period
function historyDuringPeriod({ core, client, id, message }: Call): void {
  const query = queryOf(message);
  if (query.start === undefined) return sendInvalid(client, id, "start_time");
  if (query.end === undefined) return sendInvalid(client, id, "end_time");
  const { start, end, entityIds } = query;
  if (start > core.clock.seconds) return client.send(resultText(id, "{}"));
  if (!areEntityIds(core, entityIds)) return sendInvalid(client, id, "entity_ids");
  if (entityIds.length === 0 && core.version === "2026.11.0") {
    return client.send(resultText(id, "{}"));
  }
  const asked = { ...query, start, end };
  if (
    (end !== Infinity && !core.recorder.hasStatesBefore(end)) || mayLeaveOut(core, asked)
  ) return client.send(resultText(id, "{}"));
  if (entityIds.length === 0) return sendUnknownError(client, id);
  client.send(resultText(id, core.recorder.history(asked).text));
}

// homeassistant/components/history/websocket_api.py, ws_stream
function stream({ core, client, id, message }: Call): void {
  const now = core.clock.seconds;
  const query = queryOf(message);
  const { start, end, entityIds } = query;
  if (start === undefined || start > now) return sendInvalid(client, id, "start_time");
  if (end === undefined || end < start) return sendInvalid(client, id, "end_time");
  if (!areEntityIds(core, entityIds)) return sendInvalid(client, id, "entity_ids");
  const asked = { ...query, start, end };
  const isNothing = entityIds.length === 0 && core.version === "2026.11.0";
  client.send(resultText(id, "null"));
  if (isNothing || (end <= now && mayLeaveOut(core, asked))) {
    return client.send(streamText(id, "{}", start, end === Infinity ? now : end));
  }
  if (entityIds.length === 0) return sendUnknownError(client, id);
  const opened = new HistoryStream(core, client, id, asked);
  client.streams.set(id, opened);
  opened.start();
}

/** Where no listed entity's present stamp is newer than the start; one without a state may have been. */
function mayLeaveOut(
  { states }: StreamSource,
  { entityIds, includeStartTimeState, noAttributes, start }: HistoryQuery,
): boolean {
  if (includeStartTimeState || entityIds.length === 0) return false;
  return entityIds.every((entityId) => {
    const state = states.get(entityId);
    const stamp = noAttributes ? state?.lastChanged : state?.lastUpdated;
    return stamp !== undefined && stamp.us <= Math.round(start * 1e6);
  });
}

function queryOf(message: Json) {
  const { start_time, end_time, entity_ids } = message;
  return {
    start: parseSeconds(start_time),
    end: end_time === undefined || end_time === "" ? Infinity : parseSeconds(end_time),
    entityIds: Array.isArray(entity_ids) ? entity_ids.map(String) : [],
    includeStartTimeState: message.include_start_time_state !== false,
    significantChangesOnly: message.significant_changes_only !== false,
    minimalResponse: message.minimal_response === true,
    noAttributes: message.no_attributes === true,
  };
}

/** One bad id spoils them all, unless a state has it. */
function areEntityIds({ states }: StreamSource, entityIds: readonly string[]): boolean {
  return entityIds.every((entityId) => states.get(entityId) !== undefined || isEntityId(entityId));
}

function sendInvalid(client: Client, id: number, name: string): void {
  client.send(errorText(id, `invalid_${name}`, `Invalid ${name}`));
}

function sendUnknownError(client: Client, id: number): void {
  client.send(errorText(id, "unknown_error", "Unknown error"));
}
