/** Row 16: SIGTERM under load. */
import { describeError } from "../../../lib/retry.ts";
import type { Program } from "../../real/parts/programs.ts";
import { FaultHouse } from "../fault_house.ts";
import type { Row } from "../row.ts";

/** More than any deadline of an ending program, in milliseconds. */
const ENDS_WITHIN_MS = 15_000;
const ROUNDS = 2;

async function end(house: FaultHouse, program: Program, name: string): Promise<void> {
  const startMs = performance.now();
  const problem = await program.stop().then(() => undefined, describeError);
  house.promise(problem === undefined, problem ?? "");
  const tookMs = performance.now() - startMs;
  house.promise(tookMs < ENDS_WITHIN_MS, `${name} took ${tookMs} ms to end`);
  house.injected(`endings of ${name}`);
}

export const ENDED: Row = {
  number: "16",
  fault: "SIGTERM under load",
  promise: "each ends with 0 in time, and nothing that was committed is lost",
  run: async (run) => {
    await using house = await FaultHouse.start(run, { flow: { perSecond: 300 } });
    for (let i = 0; i < ROUNDS; i++) {
      await house.untilDelivering();
      await house.flow.more(100);
      await end(house, house.enrich, "enrich");
      await house.flow.more(50);
      house.lostOrder();
      await end(house, house.ingest, "ingest");
      house.readOutbox();
      await house.enrich.startAgain();
      await house.ingest.startAgain();
      house.fixed();
      await house.captured();
    }
    return await house.finish();
  },
  control: {
    sabotage: "ingest is killed in place of being ended",
    red: "promise",
    words: /it ended with/,
    run: async (run) => {
      await using house = await FaultHouse.start(run, { flow: { perSecond: 300 } });
      await house.untilDelivering();
      house.lostOrder();
      await house.ingest.kill();
      await end(house, house.ingest, "ingest");
      await house.ingest.startAgain();
      await house.captured();
      return await house.finish();
    },
  },
};
