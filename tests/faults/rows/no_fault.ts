/** The run that every other row is held against. */
import { DatabaseSync } from "node:sqlite";
import { FaultHouse } from "../fault_house.ts";
import type { Row } from "../row.ts";

export const NO_FAULT: Row = {
  number: "0",
  fault: "none",
  promise: "what the store is expected to hold is what it holds",
  run: async (run) => {
    await using house = await FaultHouse.start(run);
    await house.flow.more(500);
    return await house.finish();
  },
  control: {
    sabotage: "a point is deleted from the store",
    red: "missing",
    run: async (run) => {
      await using house = await FaultHouse.start(run);
      await house.flow.more(100);
      house.flow.stop();
      await house.enrich.stop();
      using db = new DatabaseSync(`${house.enrich.dir}/data/store.sqlite`);
      db.exec(
        "DELETE FROM point WHERE (series, time_ns) IN (SELECT series, time_ns FROM point LIMIT 1)",
      );
      await house.enrich.startAgain();
      return await house.finish();
    },
  },
};
