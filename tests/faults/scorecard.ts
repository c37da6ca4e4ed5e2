/** Every row of the scorecard, in its order. */
import type { LinkedRow, Row } from "./row.ts";
import { NO_FAULT } from "./rows/no_fault.ts";
import { DISK_FULL, OUTBOX_DAMAGED, OUTBOX_FULL } from "./rows/disk_faults.ts";
import { ENDED } from "./rows/endings.ts";
import { CLOCK_JUMPS, HOUSE_FAULTS, RECORDER_LATE, TWO_INGESTS } from "./rows/house_faults.ts";
import { FLOODED, PEER_SILENT } from "./rows/silent_peers.ts";
import { POISON } from "./rows/poison.ts";
import { ENRICH_KILLED, INGEST_KILLED } from "./rows/program_kills.ts";
import { REPEATS } from "./rows/repeats.ts";
import { STORE_AWAY, STORE_BUSY, STORE_REFUSES } from "./rows/store_faults.ts";

export const ROWS: readonly Row[] = [
  NO_FAULT,
  INGEST_KILLED,
  ENRICH_KILLED,
  STORE_AWAY,
  POISON,
  STORE_REFUSES,
  STORE_BUSY,
  DISK_FULL,
  OUTBOX_DAMAGED,
  PEER_SILENT,
  FLOODED,
  HOUSE_FAULTS,
  CLOCK_JUMPS,
  REPEATS,
  ENDED,
  OUTBOX_FULL,
  TWO_INGESTS,
  RECORDER_LATE,
];

export const LINKED_ROWS: readonly LinkedRow[] = [
  {
    number: "3",
    fault: "power loss",
    promise: "what is acknowledged is synced before",
    suite: "tests/real/power_loss_test.ts",
  },
  {
    number: "14",
    fault: "malformed frames, hostile HTTP, fuzzing",
    promise: "left out and counted, flat memory, the right status",
    suite: "tests/fuzz",
  },
];
