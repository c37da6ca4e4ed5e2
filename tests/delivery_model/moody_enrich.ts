/** An enrich whose answers follow from what an event is and from the mood that it is in. */
import { allStored, FakeEnrich } from "../stand_ins/fake_enrich.ts";

/** What becomes of an event, whatever the mood. */
export const NATURES = [
  "good",
  "left out",
  "a problem",
  "limited",
  "fails",
  "stays pending",
  "too large",
] as const;
export type Nature = typeof NATURES[number];

export const MOODS = [
  "well",
  /** The store is away: enrich answers for what it need not ask it for. */
  "store away",
  "away",
  "wrong token",
  "slow",
  "reply lost",
  "another server",
  "small batches",
] as const;
export type Mood = typeof MOODS[number];

/** A line that says what it is. */
export function lineOf(n: number, nature: Nature, bytes: number): string {
  return `{"event":${n},"nature":"${nature}","text":"`.padEnd(bytes, "x") + '"}';
}

function natureOf(line: string): string {
  return /"nature":"([^"]*)"/.exec(line)?.[1] ?? "good";
}

/** What enrich knows of one line. */
class Fate {
  stored = 0;
  leftOut = 0;
  tooLarge = 0;
  /** How often it has failed alone and then another event was stored. */
  blamed = 0;
  hasFailedAlone = false;
}

export class MoodyEnrich extends FakeEnrich {
  mood: Mood = "well";
  /** Whether every event has become a good one. */
  isGood = false;
  /** Requests that it refused as a whole. */
  refused = 0;
  readonly #fates = new Map<string, Fate>();

  constructor() {
    super();
    this.answering = (lines) => this.#answer(lines);
  }

  fate(line: string): Fate {
    const known = this.#fates.get(line);
    if (known) return known;
    const fate = new Fate();
    this.#fates.set(line, fate);
    return fate;
  }

  #no(status: number, lines: readonly string[]): Response {
    this.refused++;
    const [only] = lines.length === 1 ? lines : [];
    if (only !== undefined) {
      const fate = this.fate(only);
      if (status === 413) fate.tooLarge++;
      else fate.hasFailedAlone = true;
    }
    return Response.json({ detail: "no" }, { status });
  }

  #answer(lines: readonly string[]): Response {
    const natures = lines.map((line) => this.isGood ? "good" : natureOf(line));
    const isAsked = natures.some((nature) => !["left out", "a problem"].includes(nature));
    switch (this.mood) {
      case "away":
        return this.#no(503, lines);
      case "wrong token":
        return Response.json({ detail: "no" }, { status: 401 });
      case "another server":
        return new Response("<html>", { headers: { "content-type": "text/html" } });
      case "store away":
        if (isAsked) return this.#no(500, lines);
        break;
      case "small batches":
        if (lines.length > 3) return this.#no(413, lines);
        break;
      default:
    }
    if (natures.includes("too large")) return this.#no(413, lines);
    if (natures.includes("fails")) return this.#no(500, lines);
    const answer = this.#judge(lines, natures);
    // it is stored, and a proxy between says that it was not
    return this.mood === "reply lost" ? this.#no(502, lines) : answer;
  }

  #judge(lines: readonly string[], natures: readonly string[]): Response {
    const at = (...wanted: string[]) =>
      [...natures.keys()].filter((index) => wanted.includes(natures[index] ?? ""));
    const good = at("good");
    // a store that is slow takes half of what it could
    const stored = this.mood === "slow" ? good.slice(0, Math.floor(good.length / 2)) : good;
    const late = good.slice(stored.length);
    const pending = [...late, ...at("limited", "stays pending")].sort((a, b) => a - b);
    const leftOut = at("left out");
    const problems = at("a problem");
    for (const index of stored) this.fate(lines[index] ?? "").stored++;
    for (const index of leftOut) this.fate(lines[index] ?? "").leftOut++;
    if (lines.length === 1 && pending.length === 1 && !natures.includes("limited")) {
      this.fate(lines[0] ?? "").hasFailedAlone = true;
    }
    if (stored.length > 0) this.#othersPassed();
    return allStored(lines, {
      status: pending.length + problems.length > 0 ? "partial" : "success",
      stored: stored.length,
      skipped: { filter: leftOut.length },
      problems: problems.map((index) => ({ index, reason: "a problem" })),
      pending,
      limited: at("limited").map((index) => ({ index, reason: "max-series" })),
    });
  }

  #othersPassed(): void {
    for (const fate of this.#fates.values()) {
      if (fate.hasFailedAlone) fate.blamed++;
      fate.hasFailedAlone = false;
    }
  }
}
