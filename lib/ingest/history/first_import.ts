/** The import of the first start: what Home Assistant's recorder still knows of the days before. */
import { getLogger } from "../../log.ts";
import type { Connection } from "../hass/connection.ts";
import type { HassClock } from "../hass/hass_clock.ts";
import { presentStates } from "../hass/present_states.ts";
import type { Outbox } from "../outbox/outbox.ts";

const META_KEY = "imported";
const DAY_US = 86_400_000_000;

const log = getLogger("ingest", "import");

export interface FirstImportOptions {
  readonly outbox: Outbox;
  readonly clock: HassClock;
  /** Every entity that the registry names. */
  readonly registered: () => Iterable<string>;
  /** How much of the recorder's history is imported, in days; 0 for none. */
  readonly days: number;
}

/**
 * At the very first start, before subscribing: notes the history of every entity as missing, so
 * that it is filled in as any gap is. Later it does nothing. Returns false where the file takes
 * nothing: it is to be noted once there is room. Throws what `command` throws.
 */
export async function beginFirstImport(
  connection: Connection,
  { outbox, clock, registered, days }: FirstImportOptions,
): Promise<boolean> {
  if (outbox.meta(META_KEY) !== undefined) return true;
  if (days === 0) return outbox.append([], () => outbox.setMeta(META_KEY, "0"));
  const states = await presentStates(connection);
  for (const { lastUpdatedUs } of states) clock.hear(lastUpdatedUs);
  const known = new Set([...states.map(({ entityId }) => entityId), ...registered()]);
  const nowUs = clock.nowUs();
  if (nowUs === undefined) return true;
  // together, so that a kill in between cannot import it all twice
  const noted = outbox.append([], () => {
    outbox.missing.openAll(known, nowUs - days * DAY_US);
    outbox.setMeta(META_KEY, String(days));
  });
  if (!noted) return false;
  log.info("Importing {days} days of history of {entities} entities", {
    days,
    entities: known.size,
  });
  return true;
}
