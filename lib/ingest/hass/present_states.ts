/** What get_states says: the present state of every entity, by its exact text. */
import * as z from "zod";
import { parseTimeUs } from "../../time.ts";
import type { Connection } from "./connection.ts";
import { type ListEntry, readInSteps } from "./long_list.ts";
import { stateHead } from "./event_head.ts";

export interface PresentState {
  readonly entityId: string;
  /** The state's own text. */
  readonly text: string;
  readonly state: string;
  readonly friendlyName: string | undefined;
  /** As Home Assistant wrote it. */
  readonly lastUpdated: string;
  readonly lastUpdatedUs: number;
  readonly lastChangedUs: number;
  readonly unit?: string;
  readonly deviceClass?: string;
  readonly stateClass?: string;
  /** Home Assistant knows the entity, but has not heard of its integration since it started. */
  readonly isRestored?: boolean;
}

/** How long an answer is kept for others who need it: it can have 20 MB. */
const KEPT_MS = 5_000;

const presentState = stateHead.extend({ entity_id: z.string(), last_updated: z.string() });

interface StatesRequest {
  readonly sentMs: number;
  readonly states: Promise<readonly PresentState[]>;
}

/** The last answer of a connection, or the one under way. */
class LastStates {
  #asked: StatesRequest | undefined;
  #timer: ReturnType<typeof setTimeout> | undefined;

  constructor(private readonly connection: Connection) {
    connection.closed.then(() => this.#forget());
  }

  since(askedSinceMs: number): Promise<readonly PresentState[]> {
    if (this.#asked && this.#asked.sentMs >= askedSinceMs) return this.#asked.states;
    this.#forget();
    const asked: StatesRequest = { sentMs: performance.now(), states: ask(this.connection) };
    this.#asked = asked;
    asked.states.then(
      () => {
        if (this.#asked !== asked) return;
        this.#timer = setTimeout(() => this.#forget(), KEPT_MS);
        Deno.unrefTimer(this.#timer);
      },
      () => this.#asked === asked && this.#forget(),
    );
    return asked.states;
  }

  #forget(): void {
    clearTimeout(this.#timer);
    this.#asked = undefined;
  }
}

const lastStates = new WeakMap<Connection, LastStates>();

/**
 * All states, asked for at `askedSinceMs` (`performance.now()`) or later: the last answer, or the one
 * under way, where its request was sent since then. Without it they are always asked for anew. One
 * that cannot be read is left out. Throws what `command` throws.
 */
export function presentStates(
  connection: Connection,
  { askedSinceMs = Infinity }: { readonly askedSinceMs?: number } = {},
): Promise<readonly PresentState[]> {
  const last = lastStates.get(connection) ?? new LastStates(connection);
  lastStates.set(connection, last);
  return last.since(askedSinceMs);
}

async function ask(connection: Connection): Promise<readonly PresentState[]> {
  const states: PresentState[] = [];
  await readInSteps(await connection.list("get_states"), (entries) => {
    for (const entry of entries) states.push(...presentStateOf(entry));
  });
  return states;
}

/** The state of an entry of the answer; none where it cannot be read. */
export function presentStateOf({ value, text }: ListEntry): PresentState[] {
  const head = presentState.safeParse(value);
  if (!head.success) return [];
  const { entity_id: entityId, last_updated: lastUpdated, attributes } = head.data;
  const lastUpdatedUs = parseTimeUs(lastUpdated);
  if (lastUpdatedUs === undefined) return [];
  return [{
    entityId,
    text,
    state: head.data.state ?? "",
    friendlyName: attributes?.friendly_name,
    lastUpdated,
    lastUpdatedUs,
    lastChangedUs: parseTimeUs(head.data.last_changed ?? "") ?? lastUpdatedUs,
    unit: attributes?.unit_of_measurement,
    deviceClass: attributes?.device_class,
    stateClass: attributes?.state_class,
    isRestored: Boolean(attributes?.restored),
  }];
}

/** The state_changed that nobody heard: what it replaced is not known. */
export function unseenStateText({ entityId, text, lastUpdated }: PresentState): string {
  return `{"event_type":"state_changed","data":{"entity_id":${JSON.stringify(entityId)},` +
    `"old_state":null,"new_state":${text}},"origin":"LOCAL","time_fired":"${lastUpdated}"}`;
}

/** The regular snapshot of a state, dated by Home Assistant's clock. */
export function stateSnapshotText({ entityId, text }: PresentState, timeFired: string): string {
  return `{"event_type":"state_snapshot","data":{"entity_id":${JSON.stringify(entityId)},` +
    `"new_state":${text}},"origin":"LOCAL","time_fired":"${timeFired}"}`;
}
