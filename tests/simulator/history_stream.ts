/** One `history/stream`: what was, then what was not committed yet, and what happens meanwhile. */
import { memberText } from "../../lib/json_text.ts";
import type { EventStream, FiredEvent } from "./bus.ts";
import type { Client } from "./client.ts";
import { type Clock, microseconds, type Version } from "./clock.ts";
import { floatText } from "./exact_json.ts";
import type { HistoryQuery } from "./history_query.ts";
import { domainOf, NEED_ATTRIBUTE_DOMAINS, SIGNIFICANT_DOMAINS } from "./recorded_row.ts";
import { rowText } from "./recorded_row.ts";
import type { Recorder } from "./recorder.ts";
import type { HassState, StateMachine } from "./states.ts";

// homeassistant/components/history/const.py
const EVENT_COALESCE_MS = 350;
const MAX_PENDING_HISTORY_STATES = 2048;

/** What a stream reads. */
export interface StreamSource {
  readonly version: Version;
  readonly clock: Clock;
  readonly states: StateMachine;
  readonly recorder: Recorder;
}

/** A stream of one client; it has been told that it was accepted. */
export class HistoryStream implements EventStream {
  readonly #source: StreamSource;
  readonly #client: Client;
  readonly #id: number;
  readonly #query: HistoryQuery;
  readonly #openedUs: number;
  #live: HassState[] = [];
  #ended = false;

  /** The query's `end` is the end that was asked for, Infinity for none. */
  constructor(source: StreamSource, client: Client, id: number, query: HistoryQuery) {
    this.#source = source;
    this.#client = client;
    this.#id = id;
    this.#query = query;
    this.#openedUs = microseconds(source.clock.seconds);
  }

  /** Sends what is committed, and where the end has not come yet goes on with what is not. */
  start(): void {
    const { clock, recorder, version } = this.#source;
    const { start, end } = this.#query;
    const opened = this.#openedUs / 1e6;
    if (end <= opened) {
      this.#ended = true;
      this.#sendHistory(this.#query, true);
      return;
    }
    if (end !== Infinity) this.#client.later((end - clock.seconds) * 1000, () => this.end());
    const last = this.#sendHistory({ ...this.#query, end: opened }, true);
    recorder.whenCommitted(() => {
      if (this.#ended) return;
      // 2024.3 asks from the very moment of the last row: that is exclusive anyway
      const microsecond = version === "2024.3.3" ? 0 : 1;
      const from = ((last ?? microseconds(start)) + microsecond) / 1e6;
      const query = { ...this.#query, start: from, end: opened, includeStartTimeState: false };
      this.#sendHistory(query, last === undefined);
    });
  }

  /** Takes a `state_changed`, and tells it after a moment, with those that followed. */
  take({ text, timeFiredUs }: FiredEvent): void {
    if (this.#ended) return;
    const { entityIds, minimalResponse, significantChangesOnly } = this.#query;
    const data = memberText(text, "data") ?? "{}";
    const [oldText, newText] = [memberText(data, "old_state"), memberText(data, "new_state")];
    const entityId = String(JSON.parse(memberText(data, "entity_id") ?? "null"));
    const state = this.#source.states.get(entityId);
    if (!entityIds.includes(entityId) || oldText === "null" || newText === "null" || !state) return;
    const isSame = memberText(oldText ?? "", "state") === memberText(newText ?? "", "state");
    if (
      isSame && (significantChangesOnly || minimalResponse) &&
      !SIGNIFICANT_DOMAINS.has(domainOf(entityId))
    ) return;
    if (this.#live.length === 0) {
      if (timeFiredUs <= this.#openedUs) return;
      this.#client.later(EVENT_COALESCE_MS, () => this.#sendLive());
    }
    if (this.#live.push(state) > MAX_PENDING_HISTORY_STATES) this.end();
  }

  /** Sends nothing more. */
  end(): void {
    this.#ended = true;
    this.#live = [];
  }

  #sendLive(): void {
    if (this.#ended) return;
    const byEntity = Map.groupBy(this.#live.splice(0), ({ entityId }) => entityId);
    const members = [...byEntity].map(([entityId, states]) => {
      const noAttributes = this.#query.noAttributes &&
        !NEED_ATTRIBUTE_DOMAINS.has(domainOf(entityId));
      const rows = states.map(({ state, attributes, lastUpdated, lastChanged }) =>
        rowText(
          {
            state,
            attributes,
            lastUpdated: lastUpdated.seconds,
            lastChanged: lastChanged.seconds,
          },
          noAttributes ? undefined : attributes,
        )
      );
      return `${JSON.stringify(entityId)}:[${rows.join(",")}]`;
    });
    this.#client.send(streamText(this.#id, `{${members.join(",")}}`));
  }

  /** When the last row was updated, in microseconds since 1970; undefined where there was none. */
  #sendHistory(query: HistoryQuery, evenEmpty: boolean): number | undefined {
    const { text, lastUpdated } = this.#source.recorder.history(query);
    const last = lastUpdated === undefined ? undefined : microseconds(lastUpdated);
    if (last !== undefined || evenEmpty) {
      const end = last === undefined ? query.end : last / 1e6;
      this.#client.send(streamText(this.#id, text, query.start, end));
    }
    return last;
  }
}

/** The message of a stream; what is live has no bounds. */
export function streamText(id: number, states: string, start?: number, end?: number): string {
  const bounds = start === undefined || end === undefined
    ? ""
    : `,"start_time":${floatText(start)},"end_time":${floatText(end)}`;
  return `{"id":${id},"type":"event","event":{"states":${states}${bounds}}}`;
}
