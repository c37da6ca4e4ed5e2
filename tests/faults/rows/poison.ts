/** Row 5: a point that can never be stored, among others that can. */
import { batchAnswerSchema } from "../../../lib/contract.ts";
import { allStored } from "../../stand_ins/fake_enrich.ts";
import { FaultHouse } from "../fault_house.ts";
import { influxdStore } from "../fault_stores.ts";
import type { Row, RowRun } from "../row.ts";

const BATCH = 1_000;
const BAD_AT = 500;
/** Halvings until one of a batch is alone: ⌈log₂ 1,000⌉. */
const HALVINGS = 10;

/** The house with a batch of 1,000 in the outbox, one of which has a number where the store knows a text. */
async function poisoned(run: RowRun, resources: AsyncDisposableStack): Promise<FaultHouse> {
  const store = await influxdStore(resources);
  await store.influxd.write("home", `sensor poison="text" ${Date.now()}000000`);
  const house = resources.use(
    await FaultHouse.start(run, {
      store: {
        ...store,
        points: async () =>
          (await store.points()).filter(({ tags }) =>
            tags.entity_id !== undefined || tags.event_type
          ),
      },
    }),
  );
  house.flow.stop();
  house.enrichProxy.hang();
  for (let n = 0; n < BATCH; n++) {
    const attributes = n === BAD_AT ? { poison: 1 } : { good: n };
    house.hass.setState("sensor.poisoned", String(n), attributes);
    if (n === BAD_AT) house.hopeless(house.hass.fired.at(-1)?.text ?? "");
  }
  house.injected("poison points");
  await house.untilWaiting(BATCH);
  return house;
}

export const POISON: Row = {
  number: "5",
  fault: "a poison point in a batch of 1,000",
  promise: "999 are stored, 1 is a dead letter with its reason, some 2·log₂ n requests",
  run: async (run) => {
    await using resources = new AsyncDisposableStack();
    const house = await poisoned(run, resources);
    let writes = 0;
    const decoder = new TextDecoder();
    house.storeProxy.onRequest = (piece) => {
      const head = decoder.decode(piece.subarray(0, 1_000));
      if (/^POST \/write\?/.test(head) && !/^content-length: 0\r$/im.test(head)) writes++;
    };
    house.enrichProxy.release();
    house.fixed();
    const evidence = await house.finish();
    // what was on its way before is a batch of its own, and what is too much for one another
    const allowed = 1 + 2 * HALVINGS + 3;
    const { output } = house.ingest;
    const broken = [
      ...(writes <= allowed ? [] : [`${writes} writes, ${allowed} allowed`]),
      ...(/went to the dead letters: InfluxDB answered 400: .*type conflict/.test(output)
        ? []
        : ["the log says why it is a dead letter"]),
    ];
    return { ...evidence, broken: [...evidence.broken, ...broken] };
  },
  control: {
    sabotage: "an enrich that throws away what the store refuses, and says that it is stored",
    red: "lost",
    run: async (run) => {
      await using resources = new AsyncDisposableStack();
      const house = await poisoned(run, resources);
      house.between.handle = async ({ lines, pass }) => {
        const answer = await pass();
        if (!answer.ok) return answer;
        const { problems } = batchAnswerSchema.parse(await answer.clone().json());
        return problems.length > 0 ? allStored(lines) : answer;
      };
      house.enrichProxy.release();
      return await house.finish();
    },
  },
};
