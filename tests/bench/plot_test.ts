import assert from "node:assert/strict";
import { plotSvg } from "../../bench/plot.ts";

const PLOT = {
  title: "Cost < wish & so",
  xLabel: "entities",
  yLabel: "CPU, µs an event",
  series: [
    { name: "ingest", points: [[10, 40], [1_000, 40], [100_000, 80]] },
    { name: "enrich", points: [[10, 20], [100_000, 20]] },
  ],
} as const;

/** The numbers of a path or of circles, in pairs. */
function pointsOf(svg: string, colour: string): number[][] {
  const path = new RegExp(`<path d="M([^"]+)" fill="none" stroke="${colour}"`).exec(svg)?.[1];
  return (path ?? "").split("L").map((point) => point.split(" ").map(Number));
}

Deno.test("A plot spreads x by powers of ten and begins y at 0", () => {
  const svg = plotSvg(PLOT);
  const [first, second, third] = pointsOf(svg, "#1a7fd4");
  assert.equal(second[0] - first[0], third[0] - second[0]);
  assert.equal(first[1], second[1]);
  const [low] = pointsOf(svg, "#d9622b");
  // upwards y is less; 20, 40 and 80 are at a distance from the axis as they are from each other
  assert.equal(low[1] - first[1], (first[1] - third[1]) / 2);
  for (
    const label of ["entities", "CPU, µs an event", "ingest", "enrich", "100,000", "80", ">0<"]
  ) {
    assert.ok(svg.includes(label), label);
  }
});

Deno.test("A plot is readable on light and dark pages, and its words are text", () => {
  const svg = plotSvg(PLOT);
  assert.match(svg, /background:#fff.*prefers-color-scheme:dark.*background:#16181c/);
  assert.match(svg, /Cost &#60; wish &#38; so/);
  assert.doesNotMatch(svg, /Cost <|NaN|undefined|Infinity/);
});

Deno.test("What cannot be drawn is refused, in place of a plot without it", () => {
  const of = (points: readonly (readonly [number, number])[]) => () =>
    plotSvg({ ...PLOT, series: [{ name: "ingest", points }] });
  assert.throws(of([]), /nothing to draw/);
  assert.throws(of([[0, 1]]), /x must be above 0/);
  assert.throws(of([[1, NaN]]), /y a number/);
  assert.doesNotMatch(of([[10, 0]])(), /NaN/);
});
