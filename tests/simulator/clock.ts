/** Home Assistant's clock, times and context ids. */
import { formatTimeUs } from "../../lib/time.ts";

/** The releases whose answers were recorded. */
export type Version = "2024.3.3" | "2025.4.4" | "2026.11.0";

/** One moment: whole microseconds, and the seconds as Python holds them. */
export interface Stamp {
  readonly us: number;
  readonly seconds: number;
}

/** Who or what caused an event. */
export interface Context {
  readonly id: string;
  readonly parentId: string | null;
  readonly userId: string | null;
}

const CROCKFORD = "0123456789ABCDEFGHJKMNPQRSTVWXYZ";

/** Gives moments that increase by at least a microsecond for as long as the clock does not go back. */
export class Clock {
  readonly #version: Version;
  readonly #now: () => number;
  /** How far the house's clock is ahead of `now`; setting it puts the clock forward or back. */
  offsetSeconds = 0;
  #lastUs = 0;
  #lastSeconds = 0;

  /** `now` gives seconds since 1970. */
  constructor(version: Version, now = wallSeconds) {
    this.#version = version;
    this.#now = now;
  }

  /** The present, without using it up. */
  get seconds(): number {
    return this.#now() + this.offsetSeconds;
  }

  /** The next moment, after all that were given before, unless the clock was put back. */
  next(): Stamp {
    const { seconds } = this;
    const us = microseconds(seconds);
    const wentBack = seconds < this.#lastSeconds;
    this.#lastSeconds = seconds;
    if (us <= this.#lastUs && !wentBack) {
      return { us: ++this.#lastUs, seconds: this.#lastUs / 1e6 };
    }
    this.#lastUs = us;
    // since 2025 it keeps what `time.time()` gave, below the microsecond too; 2024.3 a datetime
    return { us, seconds: this.#version === "2024.3.3" ? us / 1e6 : seconds };
  }
}

function wallSeconds(): number {
  return (performance.timeOrigin + performance.now()) / 1000;
}

/** Seconds to whole microseconds, rounded as Python's `datetime.fromtimestamp` does: half to even. */
export function microseconds(seconds: number): number {
  const whole = Math.floor(seconds);
  const fraction = (seconds - whole) * 1e6;
  const floor = Math.floor(fraction);
  const rest = fraction - floor;
  const up = rest > 0.5 || (rest === 0.5 && floor % 2 === 1);
  return whole * 1_000_000 + floor + (up ? 1 : 0);
}

/** The time as Python's `isoformat()` writes it: without a fraction where that is 0. */
export function isoFormat(us: number): string {
  return formatTimeUs(us).replace(".000000", "");
}

/** A context of its own for something that happened at that moment. */
export function newContext(us: number, userId: string | null = null): Context {
  return { id: ulid(Math.floor(us / 1000)), parentId: null, userId };
}

/** The JSON text of a context. */
export function contextText({ id, parentId, userId }: Context): string {
  return JSON.stringify({ id, parent_id: parentId, user_id: userId });
}

function ulid(timeMs: number): string {
  let text = "";
  let rest = timeMs;
  for (let i = 0; i < 10; i++) {
    text = CROCKFORD[rest % 32] + text;
    rest = Math.floor(rest / 32);
  }
  for (let i = 0; i < 16; i++) {
    text += CROCKFORD[Math.floor(Math.random() * 32)];
  }
  return text;
}
