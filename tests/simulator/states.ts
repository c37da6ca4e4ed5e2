/** The state machine: what every entity is now. */
import { isDeepStrictEqual } from "node:util";
import { type Context, contextText, isoFormat, type Stamp, type Version } from "./clock.ts";

/** One state of one entity, never changed once made. */
export class HassState {
  #text?: string;

  constructor(
    readonly version: Version,
    readonly entityId: string,
    readonly state: string,
    /** The JSON text of the attributes. */
    readonly attributes: string,
    readonly lastChanged: Stamp,
    readonly lastUpdated: Stamp,
    readonly context: Context,
  ) {}

  /** The JSON text of the state, as events and get_states carry it. */
  get text(): string {
    return this.#text ??= this.#format();
  }

  #format(): string {
    const updated = isoFormat(this.lastUpdated.us);
    const reported = this.version === "2024.3.3" ? "" : `"last_reported":"${updated}",`;
    return `{"entity_id":${JSON.stringify(this.entityId)},` +
      `"state":${JSON.stringify(this.state)},"attributes":${this.attributes},` +
      `"last_changed":"${isoFormat(this.lastChanged.us)}",${reported}` +
      `"last_updated":"${updated}","context":${contextText(this.context)}}`;
  }
}

/** What a write changed: the state before, and the one after. */
export interface Change {
  readonly old: HassState | undefined;
  readonly new: HassState | undefined;
}

/** A write of one entity's state. */
export interface Write {
  readonly entityId: string;
  readonly state: string;
  /** The JSON text of the attributes. */
  readonly attributes: string;
  readonly forceUpdate: boolean;
}

/** All entities, in the order in which they first came. */
export class StateMachine {
  readonly #states = new Map<string, HassState>();

  constructor(readonly version: Version) {}

  /** The state of one entity, or undefined. */
  get(entityId: string): HassState | undefined {
    return this.#states.get(entityId);
  }

  /** Every state. */
  all(): HassState[] {
    return [...this.#states.values()];
  }

  /** Whether the write would change nothing, so that no event is fired. */
  isSame({ entityId, state, attributes, forceUpdate }: Write): boolean {
    const old = this.#states.get(entityId);
    return !forceUpdate && old?.state === state &&
      sameAttributes(old.attributes, attributes);
  }

  /** Writes a state at that moment. `last_changed` stays where the state's text did. */
  set(write: Write, stamp: Stamp, context: Context): Change {
    const { entityId, state, attributes, forceUpdate } = write;
    const old = this.#states.get(entityId);
    const lastChanged = old && old.state === state && !forceUpdate ? old.lastChanged : stamp;
    const next = new HassState(
      this.version,
      entityId,
      state,
      attributes,
      lastChanged,
      stamp,
      context,
    );
    this.#states.set(entityId, next);
    return { old, new: next };
  }

  /** Removes an entity; its last state, or undefined where there was none. */
  remove(entityId: string): HassState | undefined {
    const old = this.#states.get(entityId);
    this.#states.delete(entityId);
    return old;
  }

  /** Forgets everything, as a restart does. */
  clear(): void {
    this.#states.clear();
  }
}

function sameAttributes(a: string, b: string): boolean {
  return a === b || isDeepStrictEqual(JSON.parse(a), JSON.parse(b));
}

/** The data of `state_changed`, as JSON text. */
export function stateChangedText(entityId: string, change: Change): string {
  return `{"entity_id":${JSON.stringify(entityId)},` +
    `"old_state":${change.old?.text ?? "null"},` +
    `"new_state":${change.new?.text ?? "null"}}`;
}
