/** Every row of the scorecard, in its order. */
import type { LinkedRow, Row } from "./row.ts";
import { NO_FAULT } from "./rows/no_fault.ts";
import { ENDED } from "./rows/endings.ts";
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
  REPEATS,
  ENDED,
];

export const LINKED_ROWS: readonly LinkedRow[] = [
  {
    number: "3",
    fault: "power loss",
    promise: "what is acknowledged is synced before",
    folder: "tests/power_loss",
  },
  {
    number: "14",
    fault: "malformed frames, hostile HTTP, fuzzing",
    promise: "left out and counted, flat memory, the right status",
    folder: "tests/fuzz",
  },
];
