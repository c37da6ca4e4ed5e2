/** How far filling is, for the status and the log. */
import type { MissingStates } from "../outbox/missing_states.ts";

export interface FillingStatus {
  readonly state: "idle" | "waiting" | "reading";
  /** Why the recorder cannot be asked yet for what is missing, over reconnects too; undefined where it can. */
  readonly waitingFor: string | undefined;
  /** For how long that has been so, by the monotonic clock, in milliseconds. */
  readonly waitingMs: number | undefined;
  /** Of how many entities states are missing. */
  readonly entities: number;
  /** Of how many of them the recorder cannot be asked yet. */
  readonly waitingEntities: number;
  /** Whether Home Assistant's recorder writes down anything, as Home Assistant last said. */
  readonly isRecording: boolean;
  /** States that were filled in since the program's start. */
  readonly rows: number;
  /** The part of what is missing that is read, 0 … 1. */
  readonly part: number | undefined;
  readonly secondsLeft: number | undefined;
}

interface FillingSource {
  readonly missing: MissingStates;
  /** Whether it is not known yet of which entities states are missing. */
  readonly isOpen: () => boolean;
  /** Home Assistant's time, in microseconds since 1970. */
  readonly nowUs: () => number | undefined;
  /** States that were filled in since the program's start. */
  readonly rows: () => number;
}

export class FillingProgress {
  readonly #source: FillingSource;
  #startedMs = 0;
  #totalUs = 0;
  #state: FillingStatus["state"] = "idle";
  /** Stands until the recorder can be asked: a lost connection does not end it. */
  #obstacle: { readonly reason: string; readonly sinceMs: number } | undefined;
  isRecording = true;

  constructor(source: FillingSource) {
    this.#source = source;
  }

  /** `reason`: why the recorder cannot be asked yet, in words for people; undefined where that is to be seen. */
  wait(reason?: string): void {
    this.#state = "waiting";
    if (reason === undefined) return;
    this.#obstacle = { reason, sinceMs: this.#obstacle?.sinceMs ?? performance.now() };
  }

  /** Nothing is missing, or nobody is connected. */
  rest(): void {
    this.#state = "idle";
    if (this.#source.missing.lastId() === 0) this.#obstacle = undefined;
  }

  /** Reading begins: the time left is counted from here. */
  read(): void {
    this.#state = "reading";
    this.#obstacle = undefined;
    this.#startedMs = performance.now();
    this.#totalUs = this.#source.missing.extent(this.#source.nowUs()).unreadUs;
  }

  get status(): FillingStatus {
    const { entities, unreadUs } = this.#source.missing.extent(this.#source.nowUs());
    const seconds = (performance.now() - this.#startedMs) / 1000;
    const readUs = this.#totalUs - unreadUs;
    const isReading = this.#state === "reading";
    return {
      // a gap that is open is not known to be empty
      state: this.#source.isOpen() && this.#state === "idle" ? "waiting" : this.#state,
      waitingFor: this.#obstacle?.reason,
      waitingMs: this.#obstacle && performance.now() - this.#obstacle.sinceMs,
      entities,
      waitingEntities: this.#obstacle ? entities : 0,
      isRecording: this.isRecording,
      rows: this.#source.rows(),
      part: isReading && this.#totalUs > 0 ? Math.max(0, readUs / this.#totalUs) : undefined,
      secondsLeft: isReading && seconds > 1 && readUs > 0 ? seconds * unreadUs / readUs : undefined,
    };
  }
}
