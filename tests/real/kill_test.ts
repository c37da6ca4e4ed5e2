import assert from "node:assert/strict";
import * as z from "zod";
import { type Downtime, Watch } from "./parts/downtime.ts";
import { differences, historyRows, missingRows, NO_DIFFERENCES, summary } from "./parts/history.ts";
import { newestVersion } from "./parts/home_assistant.ts";
import type { StoredPoint } from "./parts/influxd.ts";
import { equationOf, total } from "./parts/metrics_text.ts";
import { countEvents, DATABASE, indexByEntity, Pipeline, stateKey } from "./parts/pipeline.ts";
import { Reader, type ReadEvent } from "./parts/reader.ts";
import { measured, realTest } from "./parts/real_test_case.ts";
import { until } from "../until.ts";

const RATE = 100;
/** Events between two kills: 6 s at that rate. */
const BETWEEN_KILLS = 6 * RATE;
/** More than are made before the burst is stopped, by whatever. */
const ENDLESS = 1_000_000;

/** Events that were read, but have no point. */
function missingFrom(
  points: readonly StoredPoint[],
  events: readonly ReadEvent[],
): ReadEvent[] {
  const states = indexByEntity(points);
  const left = countEvents(points);
  return events.filter(({ entityId, eventType, timeFiredUs }) => {
    if (entityId !== undefined) {
      return !states.has(stateKey(entityId, timeFiredUs));
    }
    const key = `${eventType} ${timeFiredUs}`;
    const count = left.get(key) ?? 0;
    left.set(key, count - 1);
    return count === 0;
  });
}

function assertNoneTwice(points: readonly StoredPoint[]): void {
  for (const [key, same] of indexByEntity(points)) {
    assert.equal(same.length, 1, `series that hold ${key}`);
  }
}

function assertExcused(
  missing: readonly ReadEvent[],
  downtimes: readonly Downtime[],
): void {
  const unexcused = missing.filter(({ timeFiredUs }) => {
    const firedMs = Number(timeFiredUs) / 1000;
    return !downtimes.some(({ fromMs, untilMs }) => firedMs >= fromMs && firedMs <= untilMs);
  });
  assert.deepEqual(
    unexcused.map(({ eventType, entityId, timeFiredUs }) => ({
      eventType,
      entityId,
      timeFiredUs,
    })),
    [],
    "events that are missing although ingest was up",
  );
}

realTest(
  "Whatever is killed at 100 events a second, every state of the history is stored once, and of the rest only what was fired while ingest could not capture is missing",
  async () => {
    await using pipeline = await Pipeline.start({
      version: await newestVersion(),
      minimal: true,
    });
    const { hass, influxd, enrich, ingest } = pipeline;
    await using reader = await Reader.start(hass);
    await using watch = new Watch(ingest);
    const burst = { n: ENDLESS, rate: RATE, entities: 50 };
    await hass.startBurst(burst);

    await reader.untilMore(BETWEEN_KILLS);
    const withoutIngest = await watch.interrupt(
      () => ingest.kill(),
      () => ingest.startAgain(),
    );
    await reader.untilMore(BETWEEN_KILLS);
    await enrich.kill();
    await enrich.startAgain();
    await reader.untilMore(BETWEEN_KILLS);
    await influxd.kill();
    await influxd.startAgain();
    await reader.untilMore(BETWEEN_KILLS);
    const withoutHass = await watch.interrupt(
      () => hass.kill(),
      async () => {
        await hass.startAgain();
        await hass.startBurst(burst);
      },
    );
    await reader.untilMore(BETWEEN_KILLS);
    await hass.fireEvent("burst_stop");

    const fromUs = reader.events[0]?.timeFiredUs;
    assert.ok(fromUs !== undefined);
    const history = () =>
      historyRows(hass, fromUs, reader.events.flatMap(({ entityId }) => entityId ?? []));
    await until(
      async () =>
        missingRows(await history(), await influxd.allPoints(DATABASE)).length === 0 && "complete",
      "every state of the history is stored",
      { limitMs: 120_000, everyMs: 1_000 },
    );
    const { ingest: metrics, points } = await pipeline.settle();
    reader.throwIfBroken();
    const read = [...reader.events];
    const rows = await history();
    const { missing: unfilled, twice } = differences(rows, points, read, fromUs);
    // what a killed Home Assistant fired last, neither its recorder nor the second reader need know
    assert.deepEqual(summary({ missing: unfilled, twice, invented: [] }), NO_DIFFERENCES);
    const missing = missingFrom(points, read);
    assertExcused(missing, [withoutIngest, withoutHass]);
    assertNoneTwice(points);
    const { received, text } = equationOf(metrics);
    // after each of the two gaps a present state that nobody had heard comes again from the recorder
    const again = received - total(metrics, "ingest_events_skipped_total") - points.length;
    const entities = new Set(rows.map(({ entityId }) => entityId)).size;
    assert.ok(again >= 0 && again <= 2 * entities, `${again} events more than points: ${text}`);
    assert.ok(read.length > 5 * BETWEEN_KILLS, "the second reader has read on");
    assert.ok(
      read.some(({ entityId, timeFiredUs }) =>
        entityId?.startsWith("sensor.burst_") === true &&
        Number(timeFiredUs) / 1000 > withoutHass.untilMs
      ),
      "events were fired after the last start",
    );
    const seconds = ({ fromMs, untilMs }: Downtime) => ((untilMs - fromMs) / 1000).toFixed(1);
    measured(
      `four kills at ${RATE} events/s: ${read.length} events read, ${rows.length} rows of history ` +
        `of which none is missing; of the events ${missing.length}, ` +
        `all of them in the ${seconds(withoutIngest)} s around the kill of ingest and the ` +
        `${seconds(withoutHass)} s around Home Assistant's; ${watch.scrapes} scrapes; ${text}`,
    );
  },
);

realTest(
  "An event that is repeated because its answer was lost stays one point although its area was renamed meanwhile",
  async () => {
    const entityId = "sensor.double_level";
    let areaId = "";
    await using pipeline = await Pipeline.start({
      version: await newestVersion(),
      minimal: true,
      proxied: ["enrich"],
      prepare: async (hass) => {
        using socket = await hass.connect();
        ({ area_id: areaId } = z.looseObject({ area_id: z.string() }).parse(
          await socket.command({
            type: "config/area_registry/create",
            name: "Before",
          }),
        ));
        await socket.command({
          type: "config/entity_registry/update",
          entity_id: entityId,
          area_id: areaId,
        });
      },
    });
    const { hass, influxd, ingest, enrichProxy } = pipeline;
    const areasAt = async (value: number) =>
      (await influxd.query(
        `SELECT "value" FROM "sensor" WHERE "entity_id" = '${entityId}' AND "value" = ${value} GROUP BY *`,
        DATABASE,
      )).flatMap(({ tags, values }) => values.map(() => tags?.area));
    const setLevel = (value: number) =>
      hass.callService("input_number", "set_value", {
        entity_id: "input_number.level",
        value,
      });
    const received = async () => total(await ingest.metrics(), "ingest_events_received_total");

    await pipeline.settle();
    enrichProxy.losesAnswers = true;
    await setLevel(10);
    await until(
      async () => (await areasAt(20)).length > 0,
      "the point whose answer was lost is stored",
    );
    const before = await received();
    {
      using socket = await hass.connect();
      await socket.command({
        type: "config/area_registry/update",
        area_id: areaId,
        name: "After",
      });
    }
    // the registry's own event, then the entity's new description
    await until(
      async () => await received() >= before + 2,
      "ingest has learnt the new name",
    );
    const lost = enrichProxy.lostAnswers;
    await until(
      () => enrichProxy.lostAnswers > lost,
      "it was repeated after the area was renamed",
    );
    enrichProxy.losesAnswers = false;
    await setLevel(20);
    const { ingest: metrics, points } = await pipeline.settle();
    assert.deepEqual(await areasAt(20), ["Before"]);
    assert.deepEqual(await areasAt(40), ["After"]);
    assertNoneTwice(points);
    assert.equal(
      total(metrics, "ingest_events_delivered_total"),
      points.length,
      equationOf(metrics).text,
    );
  },
);
