import fc from "fast-check";
import { Deliveries, type Step } from "./deliveries.ts";
import { MOODS, NATURES } from "./moody_enrich.ts";

/** DELIVERY_MODEL_RUNS=2000 tries so many histories; DELIVERY_MODEL_SEED those of a failure again. */
const runs = Number(Deno.env.get("DELIVERY_MODEL_RUNS") ?? 40);
const seed = Number(Deno.env.get("DELIVERY_MODEL_SEED") ?? Date.now() % 0x7fffffff);

const step: fc.Arbitrary<Step> = fc.oneof(
  {
    weight: 4,
    arbitrary: fc.record({
      kind: fc.constant("events"),
      natures: fc.array(fc.constantFrom("good", "good", ...NATURES), {
        minLength: 1,
        maxLength: 12,
      }),
      bytes: fc.constantFrom(60, 60, 3_000, 30_000),
    }),
  },
  {
    weight: 4,
    arbitrary: fc.record({ kind: fc.constant("mood"), mood: fc.constantFrom("well", ...MOODS) }),
  },
  {
    weight: 6,
    arbitrary: fc.record({ kind: fc.constant("requests"), n: fc.integer({ min: 1, max: 25 }) }),
  },
  {
    weight: 1,
    arbitrary: fc.record({
      kind: fc.constant("fill"),
      nature: fc.constantFrom("good", ...NATURES),
    }),
  },
  {
    weight: 1,
    arbitrary: fc.record({
      kind: fc.constant("disk"),
      freeRows: fc.constantFrom(0, 0, 3, 30),
      spills: fc.boolean(),
    }),
  },
  {
    weight: 3,
    arbitrary: fc.record({ kind: fc.constantFrom("restart", "disk free", "replay", "try now") }),
  },
);

Deno.test(`Delivery loses nothing, blames nobody wrongly and drains, whatever ${runs} histories do to it (seed ${seed})`, async () => {
  await fc.assert(
    fc.asyncProperty(fc.array(step, { maxLength: 25, size: "max" }), async (steps) => {
      await using deliveries = new Deliveries();
      for (const one of steps) await deliveries.do(one);
      await deliveries.drain();
    }),
    { numRuns: runs, seed, endOnFailure: true },
  );
});
