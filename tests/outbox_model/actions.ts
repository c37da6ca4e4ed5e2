/** What can happen to an outbox. */
import fc from "fast-check";

const outcomes = ["stored", "filter", "stale", "pending", "problem", "long problem"] as const;
/** What enrich answers for one event: stored, left out by a reason, … */
export type Outcome = (typeof outcomes)[number];

export interface Damage {
  readonly where: "all" | "page" | "rest" | "cut";
  /** Where in the file, 0 … 1. */
  readonly part: number;
}

export type Action =
  | {
    readonly kind: "add" | "append";
    readonly n: number;
    readonly bytes: number;
    /** Of so many entities a state comes with it. */
    readonly entities: number;
  }
  | { readonly kind: "flush" | "append that fails" | "disk free" | "crash" }
  | {
    readonly kind: "stop capture";
    /** So many entities change meanwhile, so often. */
    readonly entities: number;
    readonly times: number;
  }
  | {
    readonly kind: "compare";
    /** So many events are heard after the states were asked for; then much waits no more. */
    readonly n: number;
    readonly bytes: number;
    readonly drains: boolean;
  }
  | {
    readonly kind: "read history";
    /** Where the first page ends, 0 … 1 of all time. */
    readonly part: number;
  }
  | { readonly kind: "restart"; readonly maxBytes: number }
  | { readonly kind: "fill"; readonly bytes: number }
  | { readonly kind: "answer"; readonly n: number; readonly outcomes: readonly Outcome[] }
  | { readonly kind: "answer aside"; readonly outcome: Outcome }
  | { readonly kind: "fail alone"; readonly index: number }
  | { readonly kind: "replay" | "discard"; readonly n: number }
  | { readonly kind: "disk full"; readonly freeRows: number; readonly spills: boolean }
  | ({ readonly kind: "damage" } & Damage);

const one = <K extends string>(kind: K) => fc.constant(kind);
const bytes = fc.oneof(
  { weight: 3, arbitrary: fc.integer({ min: 40, max: 2_000 }) },
  fc.integer({ min: 2_000, max: 200_000 }),
);
const outcome = fc.constantFrom(...outcomes);
/** A few, or all. */
const some = fc.oneof(fc.integer({ min: 1, max: 5 }), fc.constant(1_000));

export const action: fc.Arbitrary<Action> = fc.oneof(
  {
    weight: 4,
    arbitrary: fc.record({
      kind: one("add"),
      n: fc.integer({ min: 1, max: 5 }),
      bytes,
      entities: fc.integer({ min: 0, max: 3 }),
    }),
  },
  {
    weight: 2,
    arbitrary: fc.record({
      kind: one("append"),
      n: fc.integer({ min: 0, max: 5 }),
      bytes,
      entities: fc.oneof(fc.integer({ min: 0, max: 3 }), fc.constant(300)),
    }),
  },
  { weight: 3, arbitrary: fc.record({ kind: one("flush") }) },
  {
    weight: 2,
    arbitrary: fc.record({
      kind: one("fill"),
      bytes: fc.oneof(fc.constant(200_000), fc.integer({ min: 50_000, max: 200_000 })),
    }),
  },
  {
    weight: 5,
    arbitrary: fc.record({
      kind: one("answer"),
      n: some,
      outcomes: fc.oneof(
        fc.constant<Outcome[]>(["stored"]),
        fc.constant<Outcome[]>(["problem"]),
        fc.array(outcome, { minLength: 1, maxLength: 5 }),
      ),
    }),
  },
  fc.record({ kind: one("answer aside"), outcome }),
  { weight: 2, arbitrary: fc.record({ kind: one("fail alone"), index: fc.nat({ max: 10 }) }) },
  fc.record({ kind: fc.constantFrom("replay" as const, "discard" as const), n: some }),
  {
    weight: 2,
    arbitrary: fc.record({
      kind: one("stop capture"),
      entities: fc.integer({ min: 0, max: 3 }),
      times: fc.integer({ min: 1, max: 3 }),
    }),
  },
  {
    weight: 3,
    arbitrary: fc.record({
      kind: one("compare"),
      n: fc.integer({ min: 0, max: 3 }),
      bytes,
      drains: fc.boolean(),
    }),
  },
  {
    weight: 2,
    arbitrary: fc.record({
      kind: one("read history"),
      part: fc.double({ min: 0, max: 1, noNaN: true }),
    }),
  },
  {
    weight: 2,
    arbitrary: fc.record({
      kind: one("disk full"),
      freeRows: fc.nat({ max: 10 }),
      spills: fc.boolean(),
    }),
  },
  { weight: 2, arbitrary: fc.record({ kind: one("disk free") }) },
  fc.record({ kind: one("append that fails") }),
  fc.record({ kind: one("restart"), maxBytes: fc.constantFrom(6_000_000, 7_000_000) }),
  fc.record({ kind: one("crash") }),
  fc.record({
    kind: one("damage"),
    where: fc.constantFrom("all" as const, "page" as const, "rest" as const, "cut" as const),
    part: fc.double({ min: 0, max: 0.999, noNaN: true }),
  }),
);
