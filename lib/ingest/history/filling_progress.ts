/** How far filling is, for the status and the log. */
import type { HassClock } from "../hass/hass_clock.ts";
import type { MissingStates } from "../outbox/missing_states.ts";

export interface FillingStatus {
  /** `waiting`: for Home Assistant's start, or for its recorder, which commits late. */
  readonly state: "idle" | "waiting" | "reading";
  /** Of how many entities states are missing. */
  readonly entities: number;
  /** States that were filled in since the program's start. */
  readonly rows: number;
  readonly rowsPerSecond: number | undefined;
  readonly secondsLeft: number | undefined;
}

export class FillingProgress {
  readonly #missing: MissingStates;
  readonly #clock: HassClock;
  readonly #rows: () => number;
  #startedMs = 0;
  #startedRows = 0;
  #totalUs = 0;
  state: FillingStatus["state"] = "idle";

  /** `rows`: how many states were filled in since the program's start. */
  constructor(missing: MissingStates, clock: HassClock, rows: () => number) {
    this.#missing = missing;
    this.#clock = clock;
    this.#rows = rows;
  }

  /** Reading begins anew: rates and the time left are counted from here. */
  beginReading(): void {
    this.state = "reading";
    this.#startedMs = performance.now();
    this.#startedRows = this.#rows();
    this.#totalUs = this.#missing.extent(this.#clock.nowUs()).unreadUs;
  }

  /** States that were filled in since reading began. */
  get rowsRead(): number {
    return this.#rows() - this.#startedRows;
  }

  get status(): FillingStatus {
    const { entities, unreadUs } = this.#missing.extent(this.#clock.nowUs());
    const seconds = (performance.now() - this.#startedMs) / 1000;
    const readUs = this.#totalUs - unreadUs;
    const reading = this.state === "reading" && seconds > 1;
    return {
      state: this.state,
      entities,
      rows: this.#rows(),
      rowsPerSecond: reading ? this.rowsRead / seconds : undefined,
      secondsLeft: reading && readUs > 0 ? seconds * unreadUs / readUs : undefined,
    };
  }
}
