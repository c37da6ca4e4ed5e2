import assert from "node:assert/strict";
import { fillingOf, untilFilled } from "./parts/filling.ts";
import { GapHouse } from "./parts/gap_house.ts";
import {
  availableVersions,
  type HomeAssistantVersion,
  newestVersion,
} from "./parts/home_assistant.ts";
import { measured, realTestsAtOnce } from "./parts/real_test_case.ts";
import { TemporaryFolder } from "../temporary.ts";
import { until } from "../until.ts";

const ENTITIES = 20;
/** More than are made before the burst is stopped. */
const ENDLESS = 10_000_000;
const burst = (rate: number) => ({ n: ENDLESS, rate, entities: ENTITIES });

/** While ingest fills a gap its socket is cut, and then it is killed. */
async function againWhileFilling(version: HomeAssistantVersion): Promise<void> {
  await using house = await GapHouse.start({ version });
  const { pipeline: { hass, ingest, hassProxy }, reader } = house;
  await hass.startBurst(burst(400));
  await reader.untilMore(400);
  await house.cut();
  await reader.untilMore(6_000);
  // so that it takes some seconds
  hassProxy.answerDelayMs = 200;
  const untilReading = (more: number) =>
    until(
      async () => {
        const { filling } = await fillingOf(ingest);
        return filling.state === "reading" && filling.rows >= more && filling.rows;
      },
      "ingest reads what is missing",
      { everyMs: 5 },
    );
  await house.resume();
  const first = await untilReading(1);
  await house.cut();
  const cutAt = await fillingOf(ingest);
  await reader.untilMore(400);
  await house.resume();
  const second = await untilReading(first + 1);
  await house.kill();
  await reader.untilMore(400);
  await house.resume();
  await untilReading(1);
  hassProxy.answerDelayMs = 0;
  await hass.fireEvent("burst_stop");
  const { missed, text } = await house.held();
  // else it was not while it filled
  assert.ok(cutAt.gaps.some(({ state, rows }) => state === "open" && rows > 0));
  assert.ok(second < missed.length, `${second} of ${missed.length} were filled before the kill`);
  measured(
    `Home Assistant ${version}, cut after ${first} rows and killed after ${second}: ${text}`,
  );
}

/** Its clock goes back an hour while ingest is off. */
async function clockBack(version: HomeAssistantVersion): Promise<void> {
  using folder = new TemporaryFolder();
  const clockFile = folder.file("clock");
  await Deno.writeTextFile(clockFile, "-3600");
  await using house = await GapHouse.start({ version, clockFile });
  const { pipeline: { hass }, reader, fromUs } = house;
  const stamp = async () => Number(await house.mark() - fromUs) / 1e6;
  const set = async (offset: string, isThere: (seconds: number) => boolean) => {
    await Deno.writeTextFile(clockFile, offset);
    await until(async () => isThere(await stamp()), `the clock is at ${offset}`, { everyMs: 200 });
  };
  await set("+0", (seconds) => seconds > 3_000);
  await hass.setState("sensor.still", { state: "ahead" });
  await hass.startBurst(burst(40));
  await reader.untilMore(120);
  await house.cut();
  await reader.untilMore(120);
  await set("-3600", (seconds) => seconds < 3_000);
  await hass.setState("sensor.still", { state: "back" });
  await reader.untilMore(120);
  await house.resume();
  await reader.untilMore(120);
  await house.cut();
  await reader.untilMore(120);
  await house.resume();
  await hass.fireEvent("burst_stop");
  const { rows, missed, text } = await house.held();
  const ahead = rows.filter(({ timeUs }) => Number(timeUs - fromUs) / 1e6 > 3_000);
  const back = missed.filter(({ timeUs }) => Number(timeUs - fromUs) / 1e6 < 3_000);
  assert.ok(ahead.length > 200, `${ahead.length} rows of before`);
  assert.ok(back.length > 200, `${back.length} missed rows of after`);
  measured(`Home Assistant ${version}, its clock set back an hour within a gap: ${text}`);
}

/**
 * Home Assistant is restarted, and tells states while it starts. Ingest is off for some seconds of
 * that where `isOff`: the recorder of older cores then answers before it has written down all.
 */
async function early(
  version: HomeAssistantVersion,
  { isOff }: { readonly isOff: boolean },
): Promise<void> {
  await using house = await GapHouse.start({ version, extraYaml: "starting:\n" });
  const { pipeline: { hass, ingest }, reader } = house;
  await hass.startBurst(burst(40));
  await reader.untilMore(120);
  const restarted = hass.restart();
  restarted.catch(() => {});
  const first = await reader.untilRead(
    ({ entityId, timeFiredUs }) =>
      timeFiredUs > house.fromUs && entityId?.startsWith("sensor.starting") === true,
    "Home Assistant starts again",
  );
  if (isOff) {
    await house.kill({ isHassAway: true });
    await reader.untilMore(300);
    await house.resume();
  }
  await restarted;
  await hass.startBurst(burst(40));
  await reader.untilMore(40);
  await untilFilled(ingest);
  await hass.fireEvent("burst_stop");
  const { rows, text, status } = await house.held();
  const starting = rows.filter(({ entityId, timeUs }) =>
    timeUs >= first.timeFiredUs && entityId.startsWith("sensor.starting")
  );
  assert.ok(starting.length > 500, `${starting.length} rows of the start`);
  const filled = status.gaps.reduce((sum, gap) => sum + gap.rows, 0);
  assert.ok(!isOff || filled >= 250, `${filled} were filled`);
  measured(
    `Home Assistant ${version}, restarted${isOff ? ", ingest off before RUNNING" : ""}: ` +
      `${starting.length} rows of its start; ${text}`,
  );
}

const versions = await availableVersions();
const newest = await newestVersion();

realTestsAtOnce("A gap within a gap, a restart, or a clock that goes back loses nothing", {
  [`Home Assistant ${newest}: cut off and killed while it fills`]: () => againWhileFilling(newest),
  [`Home Assistant ${newest}: its clock is set back an hour`]: () => clockBack(newest),
  ...Object.fromEntries(versions.flatMap((version) =>
    [false, true].map((isOff) => [
      `Home Assistant ${version}: restarted${isOff ? ", ingest off before RUNNING" : ""}`,
      () => early(version, { isOff }),
    ])
  )),
});
