/** Asking an InfluxDB whether it would take points. */
import type { InfluxDb } from "../../../lib/enrich/influxdb/influxdb.ts";
import { StoreUnavailable } from "../../../lib/enrich/store.ts";

/** As a store's `probe`: the answer shows in `status()`. */
export async function probe(influxDb: InfluxDb, signal: AbortSignal): Promise<void> {
  try {
    await influxDb.check(signal);
  } catch (error) {
    if (!(error instanceof StoreUnavailable)) throw error;
  }
}
