/** What can happen to a house, its recorder, the network and ingest, at random. */
import fc from "fast-check";

export const ENTITIES = 8;

export type GapAction =
  | {
    readonly kind: "change";
    readonly entity: number;
    readonly how: "value" | "attributes" | "there and back" | "remove" | "rename";
  }
  | { readonly kind: "changes"; readonly n: number }
  | { readonly kind: "other event" | "cut" | "half-open" | "stop" | "start" | "kill" }
  | {
    readonly kind: "restart";
    readonly crashed: boolean;
    readonly loses: boolean;
    readonly downMs: number;
    readonly startingMs: number;
    readonly historyMs: number;
    /** Whether it is back before the next action. */
    readonly awaits: boolean;
  }
  | {
    readonly kind:
      | "hold"
      | "release"
      | "lose"
      | "fail commit"
      | "early"
      | "not early"
      | "disable"
      | "enable"
      | "history off"
      | "history on"
      | "slow"
      | "fast"
      | "fill"
      | "drain";
  }
  | { readonly kind: "purge"; readonly states: number }
  | { readonly kind: "clock"; readonly seconds: number }
  | { readonly kind: "wait"; readonly ms: number }
  | { readonly kind: "complete" };

export interface GapHouse {
  readonly version: "2024.3.3" | "2025.4.4" | "2026.11.0";
  readonly importDays: number;
  readonly commitIntervalMs: number;
  /** Its clock runs ahead by so much until `clock` puts it right. */
  readonly aheadSeconds: number;
  /** Changes before ingest is there for the first time. */
  readonly before: number;
}

const HOUR = 3_600;
export const YEARS = 3 * 365 * 24 * HOUR;

const entity = fc.integer({ min: 0, max: ENTITIES - 1 });
const change = fc.record({
  kind: fc.constant("change"),
  entity,
  how: fc.constantFrom("value", "value", "value", "attributes", "there and back", "remove"),
});
const of = <const K extends GapAction["kind"]>(...kinds: K[]) =>
  fc.record({ kind: fc.constantFrom(...kinds) });

const anyAction = fc.oneof(
  { weight: 14, arbitrary: change },
  {
    weight: 1,
    arbitrary: fc.record({
      kind: fc.constant("change"),
      entity: fc.integer({ min: 0, max: 4 }),
      how: fc.constant("rename"),
    }),
  },
  {
    weight: 4,
    arbitrary: fc.record({ kind: fc.constant("changes"), n: fc.integer({ min: 1, max: 20 }) }),
  },
  { weight: 8, arbitrary: of("cut", "stop", "start", "start", "kill") },
  { weight: 1, arbitrary: of("other event", "half-open") },
  {
    weight: 3,
    arbitrary: fc.record({
      kind: fc.constant("restart"),
      crashed: fc.boolean(),
      loses: fc.boolean(),
      downMs: fc.constantFrom(1, 10),
      startingMs: fc.constantFrom(0, 15),
      historyMs: fc.constantFrom(0, 5, Infinity),
      awaits: fc.boolean(),
    }),
  },
  { weight: 5, arbitrary: of("hold", "release", "lose", "lose", "fail commit", "release") },
  { weight: 3, arbitrary: of("early", "not early", "disable", "enable") },
  { weight: 2, arbitrary: of("history off", "history on", "slow", "fast") },
  {
    weight: 1,
    arbitrary: fc.record({ kind: fc.constant("purge"), states: fc.integer({ min: 0, max: 10 }) }),
  },
  {
    weight: 3,
    arbitrary: fc.record({
      kind: fc.constant("clock"),
      seconds: fc.constantFrom(5, HOUR, HOUR, 5 * HOUR, -5, -HOUR, -YEARS),
    }),
  },
  {
    weight: 6,
    arbitrary: fc.record({ kind: fc.constant("wait"), ms: fc.integer({ min: 0, max: 30 }) }),
  },
  { weight: 3, arbitrary: of("complete") },
);

const changes = (n: number): GapAction => ({ kind: "changes", n });
const wait = (ms: number): GapAction => ({ kind: "wait", ms });
const clock = (seconds: number): GapAction => ({ kind: "clock", seconds });
const some = (
  ...kinds: ("cut" | "stop" | "start" | "hold" | "release" | "early" | "not early")[]
): GapAction[] => kinds.map((kind) => ({ kind }));

/** What seldom comes by chance, and has many places to go wrong. */
const scenario: fc.Arbitrary<GapAction[]> = fc.constantFrom(
  // the recorder writes down after the connection is back
  [...some("hold", "cut"), changes(12), wait(60), changes(3), ...some("release")],
  // and says that it had long before
  [
    ...some("early", "hold", "stop"),
    changes(12),
    ...some("start"),
    wait(60),
    changes(3),
    wait(30),
    ...some("release", "not early"),
  ],
  [{ kind: "complete" }, ...some("stop"), changes(9), clock(-HOUR), changes(9), ...some("start")],
  // a gap of several pages, with states of an entity in each
  [
    ...some("stop"),
    changes(9),
    clock(HOUR),
    changes(9),
    clock(5 * HOUR),
    changes(9),
    ...some("start"),
  ],
  // ingest is there before Home Assistant has started
  [
    ...some("stop"),
    changes(9),
    {
      kind: "restart",
      crashed: false,
      loses: false,
      downMs: 1,
      startingMs: 60,
      historyMs: 0,
      awaits: false,
    },
    wait(15),
    ...some("start"),
    changes(9),
    wait(20),
    ...some("cut"),
    changes(9),
  ],
);

export const gapActions = fc.array(
  fc.oneof(
    { weight: 60, arbitrary: anyAction.map((one) => [one]) },
    { weight: 5, arbitrary: scenario },
    { weight: 1, arbitrary: of("fill", "drain", "drain").map((one) => [one]) },
  ),
  { maxLength: 25, size: "max" },
).map((parts) => parts.flat());

export const gapHouse: fc.Arbitrary<GapHouse> = fc.record({
  version: fc.constantFrom("2024.3.3", "2025.4.4", "2026.11.0"),
  importDays: fc.constantFrom(0, 10),
  commitIntervalMs: fc.constantFrom(0, 20, 60),
  aheadSeconds: fc.constantFrom(0, 0, 0, YEARS),
  before: fc.integer({ min: 0, max: 12 }),
});
