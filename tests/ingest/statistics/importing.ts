/** A simulated house with long-term statistics, and what imports them. */
import assert from "node:assert/strict";
import { Connection } from "../../../lib/ingest/hass/connection.ts";
import { Outbox } from "../../../lib/ingest/outbox/outbox.ts";
import { postEventsTo } from "../../../lib/ingest/delivery/post_events.ts";
import { webSocketUrl } from "../../../lib/ingest/hass/protocol.ts";
import { Statistics } from "../../../lib/ingest/statistics/statistics.ts";
import type {
  HassCommands,
  StatisticsOptions,
} from "../../../lib/ingest/statistics/statistics_import.ts";
import type { ImportRequest } from "../../../lib/ingest/statistics/statistics_request.ts";
import { createApp, listen } from "../../../lib/serve/server.ts";
import { FakeEnrich } from "../../stand_ins/fake_enrich.ts";
import { SimulatedHomeAssistant } from "../../simulator/home_assistant.ts";
import type { StatisticsMetadata, StatisticsValues } from "../../simulator/statistics.ts";
import { TemporaryFolder } from "../../temporary.ts";
import { until } from "../../until.ts";

export const HOUR_MS = 3_600_000;
export const FIRST_MS = Date.parse("2024-01-30T00:00:00Z");
const TIMES = { patientDeadlineMs: 20_000, backoffBaseMs: 2, backoffMaxMs: 4 };

export const HOUSE: StatisticsMetadata = {
  statistic_id: "sensor.house",
  source: "recorder",
  name: null,
  unit_of_measurement: "°C",
  has_mean: true,
  has_sum: false,
};
export const SOLAR: StatisticsMetadata = {
  statistic_id: "energy:solar",
  source: "energy",
  name: "Solar",
  unit_of_measurement: "kWh",
  has_mean: false,
  has_sum: true,
};

export function hours<T = StatisticsValues>(
  n: number,
  values: (i: number) => T,
  firstMs = FIRST_MS,
): [number, T][] {
  return Array.from({ length: n }, (_, i) => [firstMs + i * HOUR_MS, values(i)]);
}

export interface Setup {
  readonly hass: SimulatedHomeAssistant;
  readonly enrich: FakeEnrich;
  readonly folder: TemporaryFolder;
  /** Where ingest's routes are. */
  readonly port: number;
  /** Imports and returns the data of what enrich has newly stored. */
  readonly imported: (request?: ImportRequest) => Promise<Data[]>;
  readonly statistics: Statistics;
  /** Ends this ingest and begins another one on the same file. */
  readonly restart: () => Promise<void>;
}

export type Data = Readonly<Record<string, unknown>>;

function dataOf(lines: readonly string[]): Data[] {
  return lines.map((line) => JSON.parse(line).event.data);
}

/** 100 hours over the end of a month of two statistics, and all that imports them. */
export async function importing(
  test: (setup: Setup) => Promise<void>,
  options: Partial<StatisticsOptions> = {},
): Promise<void> {
  using folder = new TemporaryFolder();
  await using enrich = new FakeEnrich();
  await using hass = new SimulatedHomeAssistant().start();
  hass.statistics.import(HOUSE, hours(100, (i) => ({ mean: 20 + i / 8, min: 19, max: 40 })));
  hass.statistics.import(SOLAR, hours(100, (i) => ({ state: i, sum: 100 + i })));
  const connection = await connect(hass);
  let ingest = ingestOn(folder, enrich, connection, options);
  const setup: Setup = {
    hass,
    enrich,
    folder,
    get port() {
      return Number(new URL(ingest.url).port);
    },
    get statistics() {
      return ingest.statistics;
    },
    restart: async () => {
      await ingest.stop();
      ingest = ingestOn(folder, enrich, connection, options);
    },
    imported: async (request = {}) => {
      const before = enrich.stored.length;
      assert.ok(ingest.statistics.start(request));
      await until(() => ingest.statistics.progress.state !== "running", "the import has ended");
      return dataOf(enrich.stored.slice(before));
    },
  };
  try {
    await test(setup);
  } finally {
    await ingest.stop();
    connection.close("done with");
  }
}

export async function connect(hass: SimulatedHomeAssistant): Promise<Connection> {
  const { connection } = await Connection.open({
    url: webSocketUrl(hass.url),
    token: hass.token,
    signal: new AbortController().signal,
    handlers: { onEvent: () => {}, onMalformed: assert.fail },
  });
  return connection;
}

function ingestOn(
  folder: TemporaryFolder,
  enrich: FakeEnrich,
  connection: HassCommands,
  options: Partial<StatisticsOptions>,
) {
  const outbox = new Outbox({
    path: folder.file("outbox.sqlite"),
    maxBytes: 50_000_000,
    onFailure: assert.ifError,
  });
  const statistics = new Statistics({
    commands: () => connection,
    names: () => undefined,
    post: postEventsTo(enrich.url, undefined),
    outbox,
    times: TIMES,
    ...options,
  });
  const app = createApp({
    name: "ingest",
    serviceToken: () => "s3cret-token",
    health: () => [],
    metrics: () => "",
    status: () => ({}),
  });
  statistics.addTo(app);
  const server = listen(app, { host: "127.0.0.1", port: 0, setting: "none" });
  const stopping = new AbortController();
  const running = statistics.run(stopping.signal);
  const stop = async () => {
    stopping.abort();
    await running;
    await server.close();
    outbox[Symbol.dispose]();
  };
  return { url: server.url, statistics, stop };
}
