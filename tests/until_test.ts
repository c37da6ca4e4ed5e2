import assert from "node:assert/strict";
import { until } from "./until.ts";

Deno.test("Waiting ends at its limit, also where what is asked never answers", async () => {
  await assert.rejects(
    until(() => new Promise<boolean>(() => {}), "it answers", { limitMs: 20, answerMs: 20 }),
    { message: "Cannot go on: after 0.02 s still not so that it answers" },
  );
});

Deno.test("Waiting ends with the first answer, whatever failed before", async () => {
  let asked = 0;
  const answer = () => {
    if (++asked < 3) throw new Error("not yet");
    return asked;
  };
  assert.equal(await until(answer, "it answers", { everyMs: 1 }), 3);
});

Deno.test("What was asked before the limit may answer behind it", async () => {
  const late = () => new Promise<string>((resolve) => setTimeout(resolve, 100, "late"));
  assert.equal(await until(late, "it answers", { limitMs: 20 }), "late");
});
