/** The scorecard, each row once with its control; `deno task faults --long` does more of each. */
import assert from "node:assert/strict";
import { lineOf } from "../faults/result_text.ts";
import { SIZES } from "../faults/row.ts";
import { isGreen, runRow } from "../faults/row_result.ts";
import { ROWS } from "../faults/scorecard.ts";
import { measured, realTestsAtOnce } from "./parts/real_test_case.ts";
import { Turns } from "./parts/turns.ts";

/** So many rows at a time: they mostly wait. */
const turns = new Turns(4);

realTestsAtOnce(
  "Nothing that is done to the programs costs a committed event, and the oracle sees what would",
  Object.fromEntries(ROWS.map((row) => [
    `${row.number}: ${row.fault}: ${row.promise}; control: ${row.control.sabotage}`,
    () =>
      turns.take(async () => {
        const result = await runRow(row, { sizes: SIZES, say: () => {} });
        measured(lineOf(result));
        assert.ok(isGreen(result), lineOf(result));
      }),
  ])),
);
