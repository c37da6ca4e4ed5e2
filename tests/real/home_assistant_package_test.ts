import assert from "node:assert/strict";
import * as z from "zod";
import { FakeInfluxDb } from "../stand_ins/fake_influxdb.ts";
import { until } from "../until.ts";
import {
  HomeAssistant,
  type HomeAssistantVersion,
  oldestAndNewestVersions,
} from "./parts/home_assistant.ts";
import { type Program, startEnrich, startIngest } from "./parts/programs.ts";
import { realTestsAtOnce } from "./parts/real_test_case.ts";

const SERVICE_TOKEN = "package-s3cret";
const PACKAGE = new URL("../../etc/home-assistant/ha_ingestor.yaml", import.meta.url);

/** The package as it is installed, but quicker. Throws where it is not what a person changes. */
function packageText(ingest: Program, enrich: Program): string {
  const changes: readonly (readonly [string, string])[] = [
    ["http://127.0.0.1:8001", ingest.url],
    ["http://127.0.0.1:8002", enrich.url],
    ["scan_interval: 30", "scan_interval: 1"],
    ['delay_on: "00:02:00"', 'delay_on: "00:00:03"'],
  ];
  return changes.reduce((text, [from, to]) => {
    assert.ok(text.includes(from), from);
    return text.replaceAll(from, to);
  }, Deno.readTextFileSync(PACKAGE));
}

/** What the package's head says, and a restart. */
async function install(hass: HomeAssistant, text: string): Promise<void> {
  const configuration = `${hass.dir}/configuration.yaml`;
  const before = Deno.readTextFileSync(configuration);
  const packages = "homeassistant:\n  packages:\n    ha_ingestor: !include ha_ingestor.yaml\n";
  Deno.writeTextFileSync(configuration, before.replace("homeassistant:\n", packages));
  Deno.writeTextFileSync(`${hass.dir}/ha_ingestor.yaml`, text);
  Deno.writeTextFileSync(
    `${hass.dir}/secrets.yaml`,
    `ha_ingestor_authorization: Bearer ${SERVICE_TOKEN}\n`,
  );
  const { result, errors, warnings } = z.looseObject({
    result: z.string(),
    errors: z.unknown(),
    warnings: z.unknown(),
  }).parse(await hass.rest("config/core/check_config"));
  assert.deepEqual({ result, errors, warnings }, { result: "valid", errors: null, warnings: null });
  await hass.restart();
}

const stateSchema = z.looseObject({ state: z.string() });

async function stateOf(hass: HomeAssistant, entityId: string): Promise<string> {
  return stateSchema.parse(await hass.rest(`states/${entityId}`, undefined, "GET")).state;
}

async function untilState(hass: HomeAssistant, name: string, isWanted: (state: string) => boolean) {
  let last = "";
  await until(async () => isWanted(last = await stateOf(hass, name)), `${name} is as wished`)
    .catch((error) => {
      throw new Error(`${name} stays ${last}`, { cause: error });
    });
}

const is = (wanted: string) => (state: string) => state === wanted;
const above = (n: number) => (state: string) => Number(state) > n;

const notificationsSchema = z.array(z.looseObject({
  notification_id: z.string(),
  message: z.string(),
}));

/** The message of the package's notification, while there is one. */
async function notification(hass: HomeAssistant): Promise<string | undefined> {
  using socket = await hass.connect();
  const all = notificationsSchema.parse(
    await socket.command({ type: "persistent_notification/get" }),
  );
  return all.find(({ notification_id }) => notification_id === "ha_ingestor_problem")?.message;
}

async function tryPackage(version: HomeAssistantVersion): Promise<void> {
  await using influx = await FakeInfluxDb.start({ version: 1 });
  await using hass = await HomeAssistant.start({ version, minimal: true });
  await using enrich = await startEnrich({
    INFLUXDB_URL: influx.url,
    INFLUXDB_DATABASE: "home",
    SERVICE_TOKEN,
  });
  await using ingest = await startIngest({
    HASS_URL: hass.url,
    HASS_TOKEN: hass.token,
    ENRICHMENT_SERVICE_URL: enrich.url,
    SERVICE_TOKEN,
  });
  await install(hass, packageText(ingest, enrich));
  const sensor = (name: string, isWanted: (state: string) => boolean) =>
    untilState(hass, `sensor.ha_ingestor_${name}`, isWanted);
  const binary = (name: string, isWanted: (state: string) => boolean) =>
    untilState(hass, `binary_sensor.ha_ingestor_${name}`, isWanted);
  const allIsWell = async () => {
    for (const name of ["capturing", "delivering", "storing"]) await binary(name, is("on"));
    await sensor("state", is("all is well"));
    await binary("problem", is("off"));
    await until(async () => await notification(hass) === undefined, "there is no notification");
  };

  await allIsWell();
  await sensor("stored_events", above(0));
  await sensor("dead_letters", is("0"));

  await enrich.stop();
  await hass.setState("sensor.waits", { state: "1" });
  await binary("delivering", is("off"));
  await binary("storing", is("unavailable"));
  await binary("capturing", is("on"));
  await sensor("queued_events", above(0));
  await sensor("oldest_queued_event", above(1));
  await binary("problem", is("on"));
  await until(
    async () => /It is not delivering, not storing/.test(await notification(hass) ?? ""),
    "the notification says what is wrong",
  );

  await enrich.startAgain();
  await allIsWell();
  await sensor("queued_events", (state) => Number(state) < 10);

  influx.refuses = ({ tags }) => tags.get("entity_id") === "sensor.refused";
  await hass.setState("sensor.refused", { state: "1" });
  await binary("problem", is("on"));
  await until(
    async () => /It is 1 dead letters/.test(await notification(hass) ?? ""),
    "the notification tells of the dead letter",
  );
}

const versions = await oldestAndNewestVersions();

realTestsAtOnce(
  "The package for Home Assistant shows what ingest and enrich do, and tells when enrich is stopped",
  Object.fromEntries(versions.map((version) => [version, () => tryPackage(version)])),
);
