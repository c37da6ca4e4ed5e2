/** What keeps Home Assistant's recorder from writing, and what makes it forget. */
import { DatabaseSync } from "node:sqlite";
import type { HomeAssistant } from "./home_assistant.ts";

/** How long the recorder's own transaction may keep us from the lock. */
const BUSY_TIMEOUT_MS = 10_000;

/**
 * For `recorderYaml`: a commit is tried once. So it loses what is pending after 6 s of
 * `lockDatabase`, not after 80 s. 2024.3.3 then takes the file for damaged and begins a new one.
 */
export const ONE_TRY_YAML = "  db_max_retries: 1\n";

/**
 * Locks the recorder's SQLite file against writing until it is disposed, as another program would.
 * The recorder still reads, and answers for history. It tries ten times, 8 s each, to commit, and
 * then loses what was pending; what came later it keeps. Throws where the file cannot be locked
 * within 10 s.
 */
export function lockDatabase({ dir }: HomeAssistant): Disposable {
  const database = new DatabaseSync(`${dir}/home-assistant_v2.db`);
  try {
    database.exec(`PRAGMA busy_timeout = ${BUSY_TIMEOUT_MS}; BEGIN EXCLUSIVE`);
  } catch (error) {
    database.close();
    throw error;
  }
  return { [Symbol.dispose]: () => database.close() };
}

/**
 * Locks the recorder as a backup does, until it is disposed: it writes nothing and keeps all in
 * its queue. Returns when all that was queued before is committed and the lock is held. Throws
 * where that takes more than 30 s, and at the end where the queue has overflowed.
 */
export async function lockForBackup(hass: HomeAssistant): Promise<AsyncDisposable> {
  await hass.callService("backup_lock", "lock");
  return {
    [Symbol.asyncDispose]: () => hass.callService("backup_lock", "unlock"),
  };
}

/**
 * Has the recorder forget what is older than `keepDays`, 0: all that is committed. With
 * `applyFilter` also what its include and exclude leave out. It is queued, and done a little later.
 */
export async function purge(
  hass: HomeAssistant,
  { keepDays, applyFilter = false }: { readonly keepDays: number; readonly applyFilter?: boolean },
): Promise<void> {
  await hass.callService("recorder", "purge", { keep_days: keepDays, apply_filter: applyFilter });
}

/** The recorder leaves out all that happens until `enableRecorder`, and never writes it. */
export async function disableRecorder(hass: HomeAssistant): Promise<void> {
  await hass.callService("recorder", "disable");
}

export async function enableRecorder(hass: HomeAssistant): Promise<void> {
  await hass.callService("recorder", "enable");
}
