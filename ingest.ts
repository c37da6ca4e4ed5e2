/** ingest: Home Assistant's WebSocket API → a durable outbox → `POST /events` of enrich. */
import { basename, join } from "node:path";
import { makeDataDir, saysReadable } from "./lib/data_dir.ts";
import { type IngestSettings, ingestSettings } from "./lib/settings/ingest_settings.ts";
import { Capture } from "./lib/ingest/capture/capture.ts";
import { checkIngest } from "./lib/ingest/check/check_ingest.ts";
import { deadLetters } from "./lib/ingest/dead_letters/dead_letters_command.ts";
import { addDeadLetterRoutes } from "./lib/ingest/dead_letters/dead_letters_routes.ts";
import { Delivery } from "./lib/ingest/delivery/delivery.ts";
import { addLimitedRoutes } from "./lib/ingest/delivery/limited_routes.ts";
import { importStatistics } from "./lib/ingest/statistics/import_command.ts";
import { ingestAdvice, ingestHealth, ingestNotes } from "./lib/ingest/ingest_health.ts";
import { ingestPage, ingestStatus } from "./lib/ingest/ingest_report.ts";
import { ingestMetrics } from "./lib/ingest/ingest_metrics.ts";
import { setAside } from "./lib/ingest/outbox/damaged_files.ts";
import { openOutbox } from "./lib/ingest/outbox/open_outbox.ts";
import { postEventsTo } from "./lib/ingest/delivery/post_events.ts";
import { outboxCommand } from "./lib/ingest/recovery/outbox_command.ts";
import { Recovery } from "./lib/ingest/recovery/recovery.ts";
import { Statistics } from "./lib/ingest/statistics/statistics.ts";
import { getLogger } from "./lib/log.ts";
import { addPage } from "./lib/pages/page.ts";
import { runProgram, STOP_MS } from "./lib/program/program.ts";
import { deadline } from "./lib/retry.ts";
import { listen } from "./lib/serve/listening.ts";
import { Refusals } from "./lib/serve/refusals.ts";
import { createApp } from "./lib/serve/server.ts";
import { settingsHelp } from "./lib/settings/settings_help.ts";
import { isCorrupt } from "./lib/sqlite.ts";

/**
 * Captures and delivers until the signal is aborted. `onListening` gets the address once it is
 * known. An outbox that proves to be damaged later than at its opening is set aside too, for the
 * next start to begin a new one: a supervisor's restarts must not end where they began.
 */
export async function ingest(
  settings: IngestSettings,
  signal: AbortSignal,
  onListening: (url: string) => void = () => {},
): Promise<void> {
  makeDataDir(settings.dataDir);
  const path = join(settings.dataDir, "outbox.sqlite");
  try {
    await captureAndDeliver(path, settings, signal, onListening);
  } catch (error) {
    if (!isCorrupt(error)) throw error;
    throw new Error(
      `${path} is damaged: set aside as ${setAside(path)}, its events are not delivered; ` +
        "start ingest again, which begins a new one, and then see its health",
      { cause: error },
    );
  }
}

async function captureAndDeliver(
  path: string,
  settings: IngestSettings,
  signal: AbortSignal,
  onListening: (url: string) => void,
): Promise<void> {
  const log = getLogger("ingest");
  const failed = Promise.withResolvers<never>();
  const opened = openOutbox({
    path,
    maxBytes: settings.outboxMaxBytes,
    onFailure: (error) => failed.reject(error),
  });
  using outbox = opened.outbox;
  const readable = saysReadable(settings.dataDir, "outbox.sqlite");
  if (readable) log.warn("{readable}", { readable });
  if (opened.setAside) {
    const file = basename(opened.setAside);
    log.error(
      "{path} was damaged: set aside as {file}, its events are not delivered; " +
        'run "ingest outbox recover {file}", which delivers what can be read of it',
      { path, file },
    );
  }
  const capture = new Capture({ ...settings, outbox });
  const post = postEventsTo(settings.enrichmentServiceUrl, settings.serviceToken);
  const delivery = new Delivery({ outbox, post });
  const undelivered = () => delivery.problem && `enrich ${delivery.problem.reason}`;
  // intake stops first; what is captured is then delivered for as long as a stop may take
  const deliveryStop = new AbortController();
  const stopping = AbortSignal.any([signal, deliveryStop.signal]);
  const statistics = new Statistics({
    commands: () => capture.connection,
    names: (entityId) => capture.namesOf(entityId),
    outbox,
    undelivered,
    source: settings.source,
  }, stopping);
  const refusals = new Refusals();
  const parts = { outbox, capture, delivery, statistics, settings, refusals };
  const app = createApp({
    name: "ingest",
    serviceToken: settings.serviceToken,
    refusals,
    health: () => ingestHealth(parts),
    notes: () => ingestNotes(parts),
    advice: () => ingestAdvice(parts),
    metrics: ingestMetrics(parts),
    status: () => ingestStatus(parts),
  });
  addPage(app, ingestPage(parts, stopping), stopping);
  statistics.addTo(app);
  addDeadLetterRoutes(app, outbox.deadLetters, stopping);
  const recovery = new Recovery({ outbox, dataDir: settings.dataDir, undelivered }, stopping);
  recovery.addTo(app);
  addLimitedRoutes(app, delivery.limited);
  const server = listen(app, { ...settings, setting: "INGEST_HOST and INGEST_PORT" });
  onListening(server.url);
  log.info("Listening on {url}, delivering to {enrich}", {
    url: server.url,
    enrich: settings.enrichmentServiceUrl,
  });
  const delivering = delivery.run(deliveryStop.signal);
  const work = (async () => {
    await capture.run(stopping);
    outbox.flush();
    await delivery.drained(deadline(STOP_MS, deliveryStop.signal));
  })();
  try {
    await Promise.race([work, delivering, failed.promise]);
  } finally {
    deliveryStop.abort();
    await Promise.allSettled([work, delivering, statistics.ended(), recovery.ended()]);
    await server.close();
  }
}

if (import.meta.main) {
  const help = `ingest: writes down everything that Home Assistant says, and delivers it to enrich.

Usage: ingest [--help] [--version]
       ingest check [--help]               tries everything that the settings name
       ingest health                       says whether the running ingest does its work
       ingest import-statistics [--help]   brings in hourly statistics of all years
       ingest dead-letters [--help]        lists, replays or discards events that were refused
       ingest outbox [--help]              recovers the events of an outbox that was damaged

Settings, from the environment or an .env in the working directory:
${settingsHelp("ingest")}`;
  Deno.exit(
    await runProgram({
      name: "ingest",
      help,
      commands: {
        "import-statistics": importStatistics,
        "dead-letters": deadLetters,
        outbox: outboxCommand,
        check: checkIngest,
      },
      readSettings: ingestSettings,
      run: ingest,
    }, Deno.args),
  );
}
