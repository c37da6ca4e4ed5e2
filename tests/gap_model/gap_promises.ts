/** What must hold at the end of a history, from what Home Assistant, its recorder and ingest say of it. */
import assert from "node:assert/strict";
import * as z from "zod";
import { historyUs } from "../../lib/ingest/history/history.ts";
import type { Gaps } from "../../lib/ingest/history/gaps.ts";
import { parseTimeUs } from "../../lib/time.ts";

/** All that happened. */
export interface Happened {
  /** Texts of Home Assistant's events, in their order. */
  readonly fired: readonly string[];
  /** Lines that ingest delivered, in their order. */
  readonly delivered: readonly string[];
  /** What the recorder has at the end. */
  readonly history: string;
  /** What get_states showed: entity id and stamp. */
  readonly shown: ReadonlySet<string>;
  /** Of which entity an id is, or was. */
  readonly entityOf: ReadonlyMap<string, number>;
  /** Entities by reason, of all of ingest's lives. */
  readonly alarms: ReadonlyMap<string, number>;
  readonly gaps: ReturnType<Gaps["report"]>;
  readonly importDays: number;
  /** So many events had been fired when ingest had subscribed for the first time. */
  readonly firstFired: number;
  /** And when it had compared the present states for the first time. */
  readonly comparedFired: number;
  /** How many events had been fired when Home Assistant's clock went back; Infinity where it did not. */
  readonly wentBackFired: number;
  /** How many had been at each restart of Home Assistant, which forgets what no integration knows. */
  readonly restartsFired: readonly number[];
  /** Whether the recorder was made to forget. */
  readonly isPurged: boolean;
  /** Entities that were renamed, once each time. */
  readonly renamed: readonly number[];
}

/** A state, or a removal, as it was told by one side. */
interface Told {
  readonly id: string;
  readonly us: number;
  readonly state: string | null;
  readonly attributes: unknown;
  readonly changedUs: number | undefined;
  readonly oldUs: number | undefined;
  readonly via: string;
  readonly index: number;
}

const toldState = z.looseObject({
  state: z.string(),
  attributes: z.unknown(),
  last_changed: z.string(),
  last_updated: z.string(),
});
const toldEvent = z.looseObject({
  event_type: z.literal("state_changed"),
  time_fired: z.string(),
  data: z.looseObject({
    entity_id: z.string(),
    new_state: toldState.nullish(),
    old_state: toldState.partial().nullish(),
  }),
});

function toldBy(event: unknown, via: string, index: number): Told[] {
  const parsed = toldEvent.safeParse(event);
  if (!parsed.success) return [];
  const { time_fired, data } = parsed.data;
  const us = parseTimeUs(data.new_state?.last_updated ?? time_fired);
  assert.ok(us !== undefined);
  return [{
    id: data.entity_id,
    us,
    state: data.new_state?.state ?? null,
    attributes: data.new_state?.attributes ?? {},
    changedUs: data.new_state ? parseTimeUs(data.new_state.last_changed) : us,
    oldUs: data.old_state ? parseTimeUs(data.old_state.last_updated ?? "") : undefined,
    via,
    index,
  }];
}

function rowsOf(history: string): Told[] {
  return Object.entries<{ s: string | null; a: unknown; lu: number; lc?: number }[]>(
    JSON.parse(history),
  ).flatMap(([id, rows]) =>
    rows.map(({ s, a, lu, lc }, index) => ({
      id,
      us: historyUs(lu),
      state: s,
      attributes: a,
      changedUs: historyUs(lc ?? lu),
      oldUs: undefined,
      via: "recorder",
      index,
    }))
  );
}

export function assertPromises(happened: Happened): void {
  const { entityOf, firstFired, importDays } = happened;
  const fired = happened.fired.flatMap((text, i) => toldBy(JSON.parse(text), "fired", i));
  const delivered = happened.delivered.flatMap((line, i) => {
    const { event, via = "live" } = JSON.parse(line);
    return toldBy(event, via, i);
  });
  const rows = rowsOf(happened.history);
  // history moves with a rename, so a row can have another id than its event
  const keyOf = ({ id, us }: Pick<Told, "id" | "us">) => `${entityOf.get(id) ?? id} ${us}`;
  const byKey = (list: readonly Told[]) => new Map(list.map((told) => [keyOf(told), told]));
  const firedBy = byKey(fired);
  const deliveredBy = byKey(delivered);
  const rowBy = byKey(rows);
  const shown = new Set([...happened.shown].map((text) => {
    const [id, us] = text.split(" ");
    return keyOf({ id, us: Number(us) });
  }));
  const say = (list: readonly Told[]) => list.map(({ id, us, via }) => `${id} ${us} ${via}`);

  // (a)
  const isRenamed = ({ id }: Told) => happened.renamed.includes(entityOf.get(id) ?? -1);
  // reading begins a little before a gap: a row that is found there by chance tells of nothing
  const indexesOf = Map.groupBy(
    delivered.flatMap((told) => told.via === "history" ? [] : firedBy.get(keyOf(told)) ?? []),
    ({ id }) => id,
  );
  const goesBetween = (id: string, from: number, to: number) =>
    happened.restartsFired.some((at) => at > from && at <= to) ||
    fired.some((told) =>
      told.id === id && told.state === null && told.index >= from && told.index < to
    );
  /** Who came and went while nobody listened: nothing tells that there was one. */
  const isUnknown = ({ id, index }: Told) => {
    const known = (indexesOf.get(id) ?? []).map((told) => told.index);
    const last = Math.max(-1, ...known.filter((one) => one < index));
    const next = Math.min(...known.filter((one) => one >= index));
    return index < next && goesBetween(id, index, next) &&
      (last === -1 || goesBetween(id, last, index));
  };
  const isDue = (row: Told) => {
    const told = firedBy.get(keyOf(row));
    // what was missed of it moves to the new id unasked; "renamed" says so
    if (!told || isRenamed(told) || isUnknown(told)) return false;
    if (importDays === 0) return told.index >= firstFired;
    const isImported = told.index < happened.comparedFired;
    return !isImported || happened.wentBackFired > happened.comparedFired;
  };
  assert.deepEqual(
    say(rows.filter((row) => isDue(row) && !deliveredBy.has(keyOf(row)))),
    [],
    "(a) every row of the recorder is delivered",
  );
  assert.deepEqual(
    say(delivered.filter((told) => !firedBy.has(keyOf(told)) && !shown.has(keyOf(told)))),
    [],
    "(a) nothing is delivered that was not",
  );
  for (const told of delivered) {
    const truth = told.via === "history" ? rowBy.get(keyOf(told)) : firedBy.get(keyOf(told));
    if (!truth) continue;
    const { state, attributes, changedUs } = truth;
    assert.deepEqual(
      { state: told.state, attributes: told.attributes, changedUs: told.changedUs },
      { state, attributes, changedUs },
      `(a) ${told.via} tells of ${told.id} what was`,
    );
  }
  if (happened.wentBackFired === Infinity) {
    // what is missing of a renamed entity is asked for under both of its ids, where it may be twice
    const groups = Map.groupBy(
      delivered.filter((told) => !isRenamed(told)),
      ({ id, us }) => `${id} ${us}`,
    );
    const twice = [...groups.values()].filter((group) =>
      new Set(group.map(({ via }) => via)).size < group.length ||
      (group.length > 1 && group.some(({ via }) => via === "live"))
    );
    assert.deepEqual(twice.map(say), [], "(f) nothing is delivered twice");
  }

  // (b) and (c)
  const sumOf = (counts: Iterable<readonly [string, number]>) =>
    [...counts].reduce((sum, [reason, n]) => reason === "renamed" ? sum : sum + n, 0);
  // of a gap from before its oldest row nobody knows what it had, so it is said of all
  const isKnowable = ([reason]: readonly [string, number]) =>
    !happened.isPurged || reason !== "older than the recorder keeps";
  const alarms = sumOf([...happened.alarms].filter(isKnowable));
  const said = happened.gaps.reduce(
    (sum, { unfilled }) => sum + sumOf(Object.entries(unfilled)),
    0,
  );
  const isLost = (told: Told | undefined) =>
    told !== undefined && !deliveredBy.has(keyOf(told)) && !rowBy.has(keyOf(told));
  const noticed = delivered.filter((told) => {
    const { via, id, oldUs } = told;
    // of a renamed entity it is said that it was renamed
    if (via !== "live" || oldUs === undefined || isRenamed(told)) return false;
    const old = firedBy.get(keyOf({ id, us: oldUs }));
    return old !== undefined && isLost(old) &&
      old.index >= (importDays > 0 ? happened.comparedFired : firstFired);
  });
  assert.ok(
    said >= noticed.length,
    `(b) ${say(noticed)} replaced what is lost, said: ${JSON.stringify(happened.gaps)}`,
  );
  const absent = fired.filter((told) => !rowBy.has(keyOf(told)));
  assert.ok(
    alarms <= absent.length + 2 * happened.renamed.length,
    `(c) ${JSON.stringify([...happened.alarms])}, but the recorder lacks only ${say(absent)}`,
  );

  // (d)
  if (happened.wentBackFired === Infinity) {
    const known = Map.groupBy(
      [...byKey([...delivered, ...rows]).values()],
      ({ id }) => entityOf.get(id) ?? id,
    );
    for (const told of delivered) {
      if (told.via !== "history" || told.oldUs === undefined || isRenamed(told)) continue;
      const before = (known.get(entityOf.get(told.id) ?? told.id) ?? [])
        .filter(({ us }) => us < told.us).map(({ us }) => us);
      assert.equal(told.oldUs, Math.max(...before), `(d) what ${told.id} ${told.us} replaced`);
    }
  }

  // (e)
  for (const { state, from, to, missing } of happened.gaps) {
    assert.equal(state, "filled", "(e)");
    assert.equal(missing, 0, "(e)");
    assert.ok(to !== undefined && from <= to, `(e) from ${from} to ${to}`);
  }
}
