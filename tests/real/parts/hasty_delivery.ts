/** Runs before ingest: it waits a tenth as long for enrich, so that ten attempts take less than minutes. */
import { DELIVERY_TIMES } from "../../../lib/ingest/delivery/delivery_times.ts";

Object.assign(DELIVERY_TIMES, {
  quickDeadlineMs: 500,
  quickPausesMs: [50, 100],
  patientDeadlineMs: 1_500,
  backoffBaseMs: 100,
  backoffMaxMs: 1_000,
});
