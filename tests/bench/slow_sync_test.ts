import assert from "node:assert/strict";
import { shortestOf, syncTimesMs } from "../../bench/slow_sync.ts";

Deno.test("What strace says of each sync is its time, and nothing else is one", () => {
  const log = `2539  fsync(3)                          = 0 (DELAYED) <0.200903>
2540  fdatasync(14)                     = 0 <0.001500>
2541  fdatasync(14) = -1 EIO (Input/output error) <0.000100>
2542  fdatasync(14 <unfinished ...>
2542  <... fdatasync resumed>)          = 0 (DELAYED) <0.300000>
2543  +++ exited with 0 +++
`;
  assert.deepEqual(syncTimesMs(log).map(Math.round), [201, 2, 300]);
});

Deno.test("Where a sync was not slowed down, or there was none, that is no result", () => {
  assert.equal(shortestOf([203, 201, 240], 200), 201);
  assert.throws(
    () => shortestOf([203, 2, 240], 200),
    /not slowed down: of 3 the shortest took 2.0 ms/,
  );
  assert.throws(() => shortestOf([], 200), /not slowed down: of 0/);
});
