import assert from "node:assert/strict";
import fc from "fast-check";
import { type HistoryRow, stateChangedText } from "../../../lib/ingest/history/history.ts";
import { type FilledState, type Lack, pageOf } from "../../../lib/ingest/history/history_page.ts";
import type { Missing } from "../../../lib/ingest/outbox/missing_states.ts";
import type { KnownState } from "../../../lib/ingest/outbox/seen_states.ts";
import { knownAt } from "../outbox/stretches.ts";

const ENTITY = "sensor.a";
const HOUR_US = 3_600_000_000;

function row(us: number): HistoryRow {
  return { ...knownAt(us), unit: "W", friendlyName: "A", attributes: `{"n":${us}}` };
}

/** A stretch that nobody has read yet. */
function stretch(bounds: Partial<Missing> & { readonly fromUs: number }): Missing {
  const startUs = bounds.startUs ?? bounds.fromUs;
  return {
    id: 1,
    entityId: ENTITY,
    toUs: undefined,
    untilUs: undefined,
    beginUs: startUs,
    startUs,
    readUs: startUs,
    lastState: undefined,
    proofUs: undefined,
    isProven: bounds.proofUs === undefined,
    ...bounds,
  };
}

interface Read {
  readonly events: readonly FilledState[];
  readonly lastState: KnownState | undefined;
  readonly lack: Lack | undefined;
}

/**
 * Reads a stretch to its end in pages that end at the given times; the answers are as the recorder's:
 * with the rows at both bounds, and a microsecond more.
 */
function readInPages(
  whole: Missing,
  rows: readonly HistoryRow[],
  cuts: readonly number[] = [],
): Read {
  const events: FilledState[] = [];
  let missing = whole;
  const inner = cuts.filter((us) => us > whole.readUs).sort((a, b) => a - b);
  for (const endUs of [...new Set(inner), Infinity]) {
    const answered = rows.filter(({ lastUpdatedUs: us }) =>
      us >= missing.readUs - 1 && us <= endUs + 1
    );
    const page = pageOf([missing], { rows: new Map([[ENTITY, answered]]), endUs });
    assert.equal(page.progress.length + page.ended.length, 1);
    events.push(...page.events);
    const [end] = page.ended;
    if (end) return { events, lastState: end.lastState, lack: end.lack };
    const [left] = page.progress;
    assert.ok(left && left.readUs === endUs, "all before the page's end is read");
    missing = { ...missing, ...left };
  }
  return assert.fail("the last page ends everything");
}

const stamp = fc.integer({ min: 0, max: HOUR_US });
const stamps = fc.uniqueArray(stamp, { maxLength: 20 });
const FROM = HOUR_US / 4;
const TO = HOUR_US / 2;
/** The bounds themselves and what is next to them, where a mistake by one would show. */
const edges = fc.subarray([FROM - 1, FROM, FROM + 1, TO - 1, TO, TO + 1]);

Deno.test("pageOf fills the same, with what each state replaced, whatever pages the rows come in", () => {
  fc.assert(
    fc.property(
      fc.record({
        others: stamps,
        atEdges: edges,
        cuts: stamps,
        cutEdges: edges,
        hasEnd: fc.boolean(),
        isKnown: fc.boolean(),
        startsLate: fc.boolean(),
        // what ends a stretch names a state within it
        proof: fc.option(
          fc.oneof(fc.integer({ min: FROM, max: TO }), fc.constantFrom(FROM, TO - 1, TO)),
        ),
      }),
      ({ others, atEdges, cuts, cutEdges, hasEnd, isKnown, startsLate, proof }) => {
        const rows = [...new Set([...others, ...atEdges])].sort((a, b) => a - b).map(row);
        const startUs = startsLate ? FROM + HOUR_US / 8 : FROM;
        const missing = stretch({
          fromUs: FROM,
          toUs: hasEnd ? TO : undefined,
          startUs,
          lastState: isKnown ? knownAt(FROM) : undefined,
          proofUs: proof ?? undefined,
        });
        const { events, lastState, lack } = readInPages(missing, rows, [...cuts, ...cutEdges]);
        const us = ({ lastUpdatedUs }: HistoryRow) => lastUpdatedUs;
        const wanted = rows.filter((one) =>
          us(one) > FROM && us(one) >= startUs && us(one) < (missing.toUs ?? Infinity)
        );
        const base = rows.find((one) => us(one) === FROM && FROM >= startUs) ??
          missing.lastState;
        assert.deepEqual(
          events.map(({ text }) => text),
          wanted.map((one, i) => stateChangedText(ENTITY, one, wanted[i - 1] ?? base)),
        );
        assert.equal(lastState?.lastUpdatedUs, wanted.at(-1)?.lastUpdatedUs ?? base?.lastUpdatedUs);
        assert.ok(lastState === undefined || !("attributes" in lastState));
        // what is said of it does not depend on the pages either
        assert.equal(lack, readInPages(missing, rows).lack);
      },
    ),
    { numRuns: 1_000 },
  );
});

Deno.test("pageOf fills what a clock that went back has made, of both sides, and guesses no order", () => {
  fc.assert(
    fc.property(
      stamps,
      edges,
      stamps,
      fc.boolean(),
      fc.boolean(),
      (others, atEdges, cuts, isBehind, goesOn) => {
        // the last one known has the newer stamp; the first live one may be before it, or behind
        const [fromUs, toUs] = isBehind ? [FROM, TO] : [TO, FROM];
        const startUs = FROM / 2;
        const rows = [...new Set([...others, ...atEdges])].sort((a, b) => a - b).map(row);
        // what was before the step may go on behind the state that ends it
        const untilUs = goesOn ? TO + HOUR_US / 8 : undefined;
        const missing = stretch({ fromUs, toUs, untilUs, startUs, lastState: knownAt(fromUs) });
        const upperUs = untilUs ?? toUs;
        const { events } = readInPages(missing, rows, cuts);
        const wanted = rows.map(({ lastUpdatedUs }) => lastUpdatedUs).filter((us) =>
          us > startUs && us !== fromUs && (isBehind ? us < upperUs : us < toUs || us > fromUs)
        );
        assert.deepEqual(events.map(({ lastUpdatedUs }) => lastUpdatedUs), wanted);
        for (const { text } of events) assert.equal(JSON.parse(text).data.old_state, null);
      },
    ),
    { numRuns: 500 },
  );
});

Deno.test("pageOf fills what an entity had before it was gone, though a clock that went back says that it is back before", () => {
  const rows = [50, 150, 250, 350, 450].map(row);
  const missing = stretch({ fromUs: 100, toUs: 80, untilUs: 400 });
  const { events } = readInPages(missing, rows, [200, 300]);
  assert.deepEqual(events.map(({ lastUpdatedUs }) => lastUpdatedUs), [150, 250, 350]);
});

Deno.test("pageOf says what the recorder lacks: proven, lost, or not recorded", () => {
  const bounds = { fromUs: 100, toUs: 500, lastState: knownAt(100) };
  const live = stretch({ ...bounds, proofUs: 400 });
  // the row that the live event says it replaced, and its own
  for (const cuts of [[], [300], [400], [401], [499], [500]]) {
    const lackOf = (...us: number[]) => readInPages(live, us.map(row), cuts).lack;
    assert.equal(lackOf(200, 400, 500), undefined);
    assert.equal(lackOf(400), undefined, "its own may be written later");
    assert.equal(lackOf(200, 500), "lost by the recorder");
    assert.equal(lackOf(500), "lost by the recorder");
    assert.equal(lackOf(200), "not recorded");
    assert.equal(lackOf(), "not recorded");
    // a present state's proof is its own row
    const shown = stretch({ ...bounds, toUs: 501, proofUs: 500 });
    const lackOfShown = (...us: number[]) => readInPages(shown, us.map(row), cuts).lack;
    assert.equal(lackOfShown(200, 500), undefined);
    assert.equal(lackOfShown(200), "not recorded");
    // nobody knows what there must be: an import, a new entity, one that is gone
    assert.equal(readInPages(stretch(bounds), [], cuts).lack, undefined);
    assert.equal(readInPages(stretch({ ...bounds, toUs: undefined }), [], cuts).lack, undefined);
  }
});

Deno.test("pageOf brings each entity as far as the page goes, and mixes events by time alone", () => {
  const other = "sensor.b";
  const asked = [
    stretch({ fromUs: 100, toUs: 300 }),
    stretch({ id: 2, entityId: other, fromUs: 100, toUs: 1_000, startUs: 200, beginUs: 100 }),
    stretch({ id: 3, entityId: "sensor.none", fromUs: 100 }),
  ];
  const rows = new Map([[ENTITY, [110, 290, 300].map(row)], [
    other,
    [150, 200, 250, 400].map(row),
  ]]);
  const { events, progress, ended } = pageOf(asked, { rows, endUs: 400 });
  assert.deepEqual(events.map(({ entityId, lastUpdatedUs }) => [entityId, lastUpdatedUs]), [
    [ENTITY, 110],
    [other, 200],
    [other, 250],
    [ENTITY, 290],
  ]);
  assert.deepEqual(ended.map(({ missing: { id } }) => id), [1]);
  assert.deepEqual(
    progress.map(({ id, readUs, lastState }) => [id, readUs, lastState?.lastUpdatedUs]),
    [[2, 400, 250], [3, 400, undefined]],
  );
});

Deno.test("pageOf gives a removal the name of the state that it ended", () => {
  const removal = { ...row(200), state: null, friendlyName: undefined, attributes: "{}" };
  const missing = stretch({ fromUs: 100 });
  const { events, lastState } = readInPages(missing, [row(150), removal, row(300)], [180, 250]);
  assert.deepEqual(events.map(({ friendlyName }) => friendlyName), ["A", "A", "A"]);
  const [, removed, back] = events.map(({ text }) => JSON.parse(text).data);
  assert.equal(removed.new_state, null);
  assert.equal(removed.old_state.state, "150");
  assert.equal(removed.old_state.attributes.unit_of_measurement, "W");
  assert.equal(back.old_state, null, "what was removed is replaced by nothing");
  assert.equal(lastState?.lastUpdatedUs, 300);
});
