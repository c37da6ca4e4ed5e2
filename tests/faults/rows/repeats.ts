/** Row 15: lost replies, duplicates, events out of order. */
import { FaultHouse } from "../fault_house.ts";
import type { Row } from "../row.ts";

/** The line as it would be an hour later. */
export function anHourLater(line: string): string {
  return line.replaceAll(
    /(\d{4}-\d\d-\d\dT)(\d\d)(:\d\d:\d\d)/g,
    (_, day, hour, rest) => `${day}${String((Number(hour) + 1) % 24).padStart(2, "0")}${rest}`,
  );
}

const ROUNDS = 3;

export const REPEATS: Row = {
  number: "15",
  fault: "lost replies, duplicates, events out of order",
  promise: "the store is the same",
  run: async (run) => {
    await using house = await FaultHouse.start(run, { flow: { perSecond: 200 } });
    const { between, enrichProxy, flow } = house;
    for (let i = 0; i < ROUNDS; i++) {
      between.handle = async ({ lines, pass }) => {
        await pass(lines.toReversed().join("\n"));
        house.injected("batches backwards, then again");
        return await pass();
      };
      await house.untilDelivering();
      await flow.more(100);
      const lost = enrichProxy.lostAnswers;
      enrichProxy.losesAnswers = true;
      await house.promised("answers are lost", () => enrichProxy.lostAnswers > lost + 1);
      enrichProxy.losesAnswers = false;
      house.injected("lost replies");
    }
    house.fixed();
    await house.untilDelivering();
    return await house.finish();
  },
  control: {
    sabotage: "a duplicate has another time",
    red: "surplus",
    run: async (run) => {
      await using house = await FaultHouse.start(run);
      let repeated = false;
      house.between.handle = async ({ lines, pass }) => {
        const [first] = lines;
        if (!repeated && first) await pass(anHourLater(first));
        repeated = true;
        return await pass();
      };
      await house.untilDelivering();
      return await house.finish();
    },
  },
};
