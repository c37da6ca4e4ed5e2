/** ingest: Home Assistant's WebSocket API → a durable outbox → `POST /events` of enrich. */
import { mkdirSync } from "node:fs";
import { join } from "node:path";
import { processOutput } from "./lib/command.ts";
import {
  type IngestSettings,
  ingestSettings,
  readEnvironment,
  settingsHelp,
} from "./lib/config.ts";
import { Capture } from "./lib/ingest/capture.ts";
import { Delivery } from "./lib/ingest/delivery.ts";
import { importStatistics } from "./lib/ingest/import_command.ts";
import { ingestHealth, ingestMetrics, ingestStatus } from "./lib/ingest/report.ts";
import { openOutbox } from "./lib/ingest/outbox.ts";
import { postEventsTo } from "./lib/ingest/post_events.ts";
import { Statistics } from "./lib/ingest/statistics.ts";
import { getLogger } from "./lib/log.ts";
import { runProgram, STOP_MS } from "./lib/program.ts";
import { createApp, listen } from "./lib/server.ts";

/** Captures and delivers until the signal is aborted. `onListening` is told the address once it is known. */
export async function ingest(
  settings: IngestSettings,
  signal: AbortSignal,
  onListening: (url: string) => void = () => {},
): Promise<void> {
  const log = getLogger("ingest");
  const failed = Promise.withResolvers<never>();
  mkdirSync(settings.dataDir, { recursive: true });
  const path = join(settings.dataDir, "outbox.sqlite");
  const opened = openOutbox({
    path,
    maxBytes: settings.outboxMaxBytes,
    onFailure: (error) => failed.reject(error),
  });
  using outbox = opened.outbox;
  if (opened.setAside) {
    log.error("{path} was damaged: set aside as {setAside}, its events are not delivered", {
      path,
      setAside: opened.setAside,
    });
  }
  const capture = new Capture({ ...settings, outbox });
  const post = postEventsTo(settings.enrichmentServiceUrl, settings.serviceToken);
  const delivery = new Delivery({ outbox, post });
  const statistics = new Statistics({
    commands: () => capture.connection,
    names: (entityId) => capture.namesOf(entityId),
    post,
    outbox,
    source: settings.source,
  });
  const parts = { outbox, capture, delivery, statistics, settings };
  const app = createApp({
    name: "ingest",
    serviceToken: settings.serviceToken,
    health: () => ingestHealth(parts),
    metrics: ingestMetrics(parts),
    status: () => ingestStatus(parts),
  });
  statistics.addTo(app);
  const server = listen(app, { ...settings, setting: "INGEST_HOST and INGEST_PORT" });
  onListening(server.url);
  log.info("Listening on {url}, delivering to {enrich}", {
    url: server.url,
    enrich: settings.enrichmentServiceUrl,
  });
  // intake stops first; what is captured is then delivered for as long as a stop may take
  const deliveryStop = new AbortController();
  const delivering = delivery.run(deliveryStop.signal);
  const importing = statistics.run(AbortSignal.any([signal, deliveryStop.signal]));
  const work = (async () => {
    await capture.run(signal);
    outbox.flush();
    await delivery.drained(AbortSignal.timeout(STOP_MS));
  })();
  try {
    await Promise.race([work, delivering, failed.promise]);
  } finally {
    deliveryStop.abort();
    await Promise.all([delivering, importing]);
    await server.close();
  }
}

if (import.meta.main) {
  if (Deno.args[0] === "import-statistics") {
    Deno.exit(await importStatistics(Deno.args.slice(1), readEnvironment, processOutput("ingest")));
  }
  const help = `ingest: writes down everything that Home Assistant says, and delivers it to enrich.

Usage: ingest [--help] [--version]
       ingest import-statistics [--help]   brings in hourly statistics of all years

Settings, from the environment or an .env in the working directory:
${settingsHelp("ingest")}`;
  Deno.exit(
    await runProgram(
      { name: "ingest", help, readSettings: ingestSettings, run: ingest },
      Deno.args,
    ),
  );
}
