/** What a Home Assistant is without its network: states, registries, history, events. */
import { type BurstOptions, type BurstResult, runBurst } from "./burst.ts";
import { EventBus, type FiredEvent } from "./bus.ts";
import { Clock, type Context, newContext, type Version } from "./clock.ts";
import { configText } from "./configuration.ts";
import { EMPTY_HOUSE, type House } from "./house.ts";
import { Recorder } from "./recorder.ts";
import { Registries } from "./registries.ts";
import { RegistryEditor } from "./registry_editor.ts";
import type { Json } from "./schema.ts";
import { componentsOf, furnish } from "./startup.ts";
import { stateChangedText, StateMachine, type Write } from "./states.ts";
import { StatisticsTables } from "./statistics.ts";

/** How a Home Assistant is to be; everything has a default. */
export interface CoreOptions {
  readonly version?: Version;
  /** What is there at the start; nothing by default. */
  readonly house?: House;
  /** How many of the last events `fired` keeps at least. */
  readonly keepFired?: number;
  /** How often the recorder commits; 0, the default, shows rows at once. */
  readonly commitIntervalMs?: number;
  /** Whether there is a history at all: without, a long burst takes no memory. */
  readonly recorder?: boolean;
  /** The clock, in seconds since 1970. */
  readonly now?: () => number;
}

/** How a state is written. */
export interface SetStateOptions {
  /** Fire an event though nothing changed. */
  readonly forceUpdate?: boolean;
  readonly context?: Context;
}

/** A Home Assistant that nobody can reach yet. What changes it throws while it is down. */
export abstract class HomeAssistantCore {
  readonly version: Version;
  readonly clock: Clock;
  readonly states: StateMachine;
  readonly registries: Registries;
  readonly recorder: Recorder;
  readonly statistics: StatisticsTables;
  readonly bus: EventBus;
  /** Changes the registries, and fires what follows from it. */
  readonly registry: RegistryEditor;
  readonly #recording: boolean;
  #life = AbortSignal.abort();
  #started = false;

  constructor(options: CoreOptions) {
    this.version = options.version ?? "2026.11.0";
    this.clock = new Clock(this.version, options.now);
    this.states = new StateMachine(this.version);
    this.registries = new Registries(this.version);
    this.recorder = new Recorder(this.version, this.clock, options.commitIntervalMs ?? 0);
    this.statistics = new StatisticsTables(this.version, this.states);
    this.#recording = options.recorder ?? true;
    this.bus = new EventBus(
      this.clock,
      options.keepFired ?? Infinity,
      (event) => this.deliver(event),
    );
    this.registry = new RegistryEditor(this);
    furnish(this, options.house ?? EMPTY_HOUSE);
  }

  /** Hands an event to whoever listens. */
  protected abstract deliver(event: FiredEvent): void;

  /** Every event fired, the oldest first. */
  get fired(): readonly FiredEvent[] {
    return this.bus.fired;
  }

  /** Aborted while Home Assistant is down. */
  get life(): AbortSignal {
    return this.#life;
  }

  /** Whether everything has started; it is reachable a little earlier. */
  get isRunning(): boolean {
    return this.#started && !this.#life.aborted;
  }

  /** It is up until the signal is aborted; `started` once all its parts are. */
  protected live(life: AbortSignal, started: boolean): void {
    this.#life = life;
    this.#started = started;
  }

  /** Sets a state. Where state and attributes are as they were, nothing is fired: false. */
  setState(
    entityId: string,
    state: string,
    attributes: Json = {},
    { forceUpdate = false, context }: SetStateOptions = {},
  ): boolean {
    return this.writeState({
      entityId,
      state,
      attributes: JSON.stringify(attributes),
      forceUpdate,
    }, context);
  }

  /** `setState` with the attributes as JSON text. */
  writeState(write: Write, context?: Context): boolean {
    this.#assertUp("set a state");
    if (this.states.isSame(write)) return false;
    const stamp = this.clock.next();
    const cause = context ?? newContext(stamp.us);
    const change = this.states.set(write, stamp, cause);
    this.record(write.entityId);
    const data = stateChangedText(write.entityId, change);
    this.bus.fire(
      this.bus.make("state_changed", data, { stamp, context: cause }),
    );
    return true;
  }

  /** Removes an entity's state; false where there was none. */
  removeState(entityId: string, context?: Context): boolean {
    this.#assertUp("remove a state");
    const old = this.states.remove(entityId);
    if (!old) return false;
    const stamp = this.clock.next();
    if (this.#recording) this.recorder.recordRemoval(entityId, stamp);
    const data = stateChangedText(entityId, { old, new: undefined });
    this.bus.fire(this.bus.make("state_changed", data, { stamp, context }));
    return true;
  }

  /** Writes the entity's present state into the history. */
  record(entityId: string): void {
    const state = this.states.get(entityId);
    if (!state || !this.#recording) return;
    const byEntity = this.registries.entities.has(entityId) ||
      entityId === "sun.sun";
    this.recorder.record(state, byEntity);
  }

  /** Fires an event. */
  fire(
    eventType: string,
    data: Json = {},
    context?: Context,
  ): FiredEvent {
    this.#assertUp("fire an event");
    const text = JSON.stringify(data);
    return this.bus.fire(this.bus.make(eventType, text, { context }));
  }

  /** Settles once what was fired has been sent to everybody. */
  protected abstract sent(): Promise<void>;

  /**
   * Sets many states, then fires `burst_done`, whose data it gives. As fast as it goes,
   * it soon outruns a client of the same process, which is cut off; where it is paced,
   * each batch waits until the one before has been sent.
   */
  async burst(
    { paced = false, ...options }: BurstOptions & { readonly paced?: boolean } = {},
  ): Promise<BurstResult> {
    this.#assertUp("burst");
    const life = this.#life;
    const result = await runBurst(
      options,
      (entityId, state, attributes) =>
        this.writeState({ entityId, state, attributes, forceUpdate: false }),
      life,
      paced ? () => this.sent() : undefined,
    );
    if (!life.aborted) this.fire("burst_done", { ...result });
    return result;
  }

  /** The JSON text of the configuration. */
  configText(): string {
    const state = this.isRunning ? "RUNNING" : "NOT_RUNNING";
    return configText(this.version, state, componentsOf(this));
  }

  #assertUp(action: string): void {
    if (!this.#life.aborted) return;
    throw new Error(
      `Cannot ${action}: the simulated Home Assistant is down: start it first`,
    );
  }
}
