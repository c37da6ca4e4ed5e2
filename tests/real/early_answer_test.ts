/** A core before 2026 answers a barrier too early while its recorder begins, and is not believed. */
import assert from "node:assert/strict";
import * as z from "zod";
import { Connection } from "../../lib/ingest/hass/connection.ts";
import { HassClock } from "../../lib/ingest/hass/hass_clock.ts";
import { webSocketUrl } from "../../lib/ingest/hass/protocol.ts";
import { behindBarrier } from "../../lib/ingest/history/recorder_barrier.ts";
import { parseTimeUs } from "../../lib/time.ts";
import { availableVersions, HomeAssistant } from "./parts/home_assistant.ts";
import { measured, note, realTest } from "./parts/real_test_case.ts";
import { recorderRows } from "./parts/recorder_rows.ts";
import { manySensorsYaml } from "./parts/registered_entities.ts";
import { until } from "../until.ts";

/** The one that was seen to; so many states of its start keep its recorder busy for 0.2 s and more. */
const VERSION = "2025.4.4";
const SENSORS = 8_000;
const BELIEVED = "2026.1.0";

const stateSchema = z.looseObject({ last_updated: z.string() });
const configSchema = z.looseObject({ state: z.string() });

/** Connected as soon as Home Assistant lets anyone in, with a state that it has had since it began to start. */
async function connected(hass: HomeAssistant, signal: AbortSignal) {
  const { connection } = await until(
    () =>
      Connection.open({
        url: webSocketUrl(hass.url),
        token: hass.token,
        signal,
        handlers: { onEvent: assert.fail, onMalformed: assert.fail },
      }).catch(() => undefined),
    "Home Assistant lets us in",
    { limitMs: 120_000, everyMs: 5 },
  );
  const { last_updated } = stateSchema.parse(
    await hass.rest("states/sensor.witness", { state: "1" }),
  );
  const us = parseTimeUs(last_updated);
  assert.ok(us !== undefined);
  return { connection, heard: new Map([["sensor.witness", us]]) };
}

/** So often it is started again where the recorder was faster than this test, as on a busy machine. */
const MOST_STARTS = 5;

if ((await availableVersions()).includes(VERSION)) {
  realTest(
    `Home Assistant ${VERSION} answers for its recorder before that has begun, and is not believed`,
    async () => {
      await using hass = await HomeAssistant.start({
        version: VERSION,
        minimal: true,
        templateYaml: manySensorsYaml(SENSORS),
      });
      for (let starts = 1; !await isSeenEarly(hass); starts++) {
        assert.ok(starts < MOST_STARTS, `it never answered too early in ${starts} starts`);
      }
    },
  );
} else note(`left out: no Home Assistant ${VERSION}`);

/** Starts it again. False where its recorder had written something down before that could be looked at. */
async function isSeenEarly(hass: HomeAssistant): Promise<boolean> {
  const stop = new AbortController();
  await hass.stop();
  const sinceUs = BigInt(Date.now()) * 1000n;
  const written = () => recorderRows(hass, sinceUs).length;
  const again = hass.startAgain();
  const { connection, heard } = await connected(hass, stop.signal);
  try {
    const ask = (haVersion: string) =>
      behindBarrier(connection, {
        haVersion,
        witnesses: heard,
        clock: new HassClock(),
        deadlineMs: 60_000,
      });
    await until(
      async () => configSchema.parse(await connection.command("get_config")).state === "RUNNING",
      "it is RUNNING",
      { limitMs: 120_000, everyMs: 2 },
    );
    assert.equal(await ask(BELIEVED), undefined, "a newer core would be believed");
    const obstacle = await ask(VERSION);
    const early = written();
    if (early > 0) return false;
    assert.equal(obstacle, "the recorder has not written down yet what was heard since");
    await until(async () => await ask(VERSION) === undefined, "it is believed", {
      limitMs: 60_000,
      everyMs: 20,
    });
    assert.ok(written() > SENSORS, `${written()} rows are written down then`);
    measured(
      `Home Assistant ${VERSION} answers before anything is written down, and is believed ` +
        `when ${written()} rows are`,
    );
    return true;
  } finally {
    stop.abort();
    await again;
  }
}
