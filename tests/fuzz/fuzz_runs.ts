/** How long and from where on the fuzzing goes: FUZZ_RUNS=50 makes each test so many times as long, FUZZ_SEED repeats one. */
import fc from "fast-check";

const factor = Number(Deno.env.get("FUZZ_RUNS") ?? 1);
export const SEED = Number(Deno.env.get("FUZZ_SEED") ?? Date.now() % 0x7fffffff);

/** For fast-check, for a test that tries so many by itself. */
export function runs(
  numRuns: number,
): { readonly numRuns: number; readonly seed: number; readonly endOnFailure: true } {
  return { numRuns: numRuns * factor, seed: SEED, endOnFailure: true };
}

/** JSON text of values that Home Assistant does not send. */
export const oddJson = fc.oneof(
  fc.constantFrom(
    ...["null", "true", "0", "-0", "1e999", "-1e999", "9007199254740993", "1E-400"],
    ...['""', '"\\u0000"', '"\\ud800"', '"\\udfff\\ud800"', "[]", "{}", "[[]]", '{"":{}}'],
    ...[
      '{"__proto__":{"a":1}}',
      '{"constructor":null}',
      '"x".repeat(9)',
      "NaN",
      "undefined",
      "'a'",
    ],
    ...[`${"9".repeat(400)}`, `"${"x".repeat(70_000)}"`, '"2026-13-45T99:99:99+00:00"'],
    ...["[".repeat(10_000) + "]".repeat(10_000), '{"a":'.repeat(10_000) + "1" + "}".repeat(10_000)],
  ),
  fc.json({ maxDepth: 3 }),
);

/** The text with a piece cut out, doubled, overwritten or its end cut off. */
export function spoilt(text: fc.Arbitrary<string>): fc.Arbitrary<string> {
  return fc.tuple(
    text,
    fc.double({ min: 0, max: 1, noNaN: true }),
    fc.nat({ max: 30 }),
    fc.oneof(fc.constantFrom("cut", "double", "truncate"), fc.string({ unit: "binary" }), oddJson),
  ).map(([whole, part, length, change]) => {
    const at = Math.floor(part * whole.length);
    const [before, piece, rest] = [
      whole.slice(0, at),
      whole.slice(at, at + length),
      whole.slice(at + length),
    ];
    if (change === "truncate") return before;
    if (change === "cut") return before + rest;
    return before + (change === "double" ? piece + piece : change) + rest;
  });
}
