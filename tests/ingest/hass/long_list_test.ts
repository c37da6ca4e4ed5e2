import assert from "node:assert/strict";
import {
  type ListEntry,
  readInSteps,
  resultOf,
  STEP_CHARS,
  STEP_ENTRIES,
} from "../../../lib/ingest/hass/long_list.ts";
import { readFrame } from "../../../lib/ingest/hass/protocol.ts";
import { turnsDuring } from "../../turns.ts";

const HEADS = [
  '{"id":7,"type":"result","success":true,"result":',
  // the registries' lists
  '{"id":7,"type": "result","success":true,"result": ',
];

/** An entry of 512 characters. */
function entry(i: number): string {
  const text = `{"entity_id":"sensor.s${i}","number":1.0,"attributes":{"x":"`;
  return `${text}${"]".repeat(512 - text.length - 3)}"}}`;
}

function answerOf(frame: string) {
  const [received] = readFrame(frame);
  assert.ok(received?.kind === "message" && received.message.type === "result");
  return { id: received.message.id, result: received.message.result, text: received.text };
}

Deno.test("A long list is read in steps of bounded characters and entries, each with its own text", async () => {
  const texts = Array.from({ length: 6_000 }, (_, i) => entry(i));
  for (const head of HEADS) {
    const answer = answerOf(`${head}[${texts.join(",")}]}`);
    assert.equal(answer.id, 7);
    // to parse it at once would have been one step
    assert.equal(answer.result, undefined);
    const steps: (readonly ListEntry[])[] = [];
    const turns = await turnsDuring(async () => {
      assert.equal(await readInSteps(answer, (entries) => steps.push(entries)), true);
    });
    assert.deepEqual(steps.flat().map(({ text }) => text), texts);
    assert.deepEqual(steps.flat()[5]?.value, JSON.parse(texts[5]));
    const charsOf = (step: readonly ListEntry[]) =>
      step.reduce((sum, { text }) => sum + text.length, 0);
    assert.ok(steps.every((step) => step.length <= STEP_ENTRIES));
    assert.ok(steps.every((step) => charsOf(step) < STEP_CHARS + 512));
    assert.ok(steps.length >= 12, `${steps.length} steps`);
    assert.ok(turns >= steps.length - 2, `${turns} turns in ${steps.length} steps`);
    assert.deepEqual(resultOf(answer), texts.map((text) => JSON.parse(text)));
  }
});

Deno.test("Entries that are large on their own are a step each", async () => {
  const texts = Array.from({ length: 4 }, (_, i) => `{"i":${i},"x":"${"x".repeat(STEP_CHARS)}"}`);
  const steps: number[] = [];
  await readInSteps(answerOf(`${HEADS[0]}[${texts.join(",")}]}`), (all) => steps.push(all.length));
  assert.deepEqual(steps, [1, 1, 1, 1, 0]);
});

Deno.test("An answer among others in a frame is read in steps too, and loses none of them", async () => {
  const list = `${HEADS[0]}[${Array.from({ length: 2_000 }, (_, i) => entry(i)).join(",")}]}`;
  const received = readFrame(`[{"id":1,"type":"pong"},${list},{"id":2,"type":"pong"}]`);
  assert.deepEqual(received.map(({ kind }) => kind), ["message", "message", "message"]);
  const [, answer] = received;
  assert.ok(answer.kind === "message");
  let count = 0;
  const read = (all: readonly ListEntry[]) => count += all.length;
  assert.ok(await readInSteps({ result: undefined, text: answer.text }, read));
  assert.equal(count, 2_000);
});

Deno.test("What is short, no list, or no answer is read as ever", async () => {
  const long = "x".repeat(STEP_CHARS * 2);
  const short = answerOf(`${HEADS[0]}[{"a":1},null,[2]]}`);
  assert.deepEqual(short.result, [{ a: 1 }, null, [2]]);
  const values: unknown[] = [];
  assert.ok(await readInSteps(short, (all) => values.push(...all.map(({ value }) => value))));
  assert.deepEqual(values, [{ a: 1 }, null, [2]]);
  for (const result of [`{"a":["${long}"]}`, "null", `"${long}"`, "{}"]) {
    const answer = answerOf(`${HEADS[0]}${result}}`);
    assert.deepEqual(answer.result, JSON.parse(result));
    assert.deepEqual(resultOf(answer), JSON.parse(result));
    assert.equal(await readInSteps(answer, () => assert.fail()), false);
  }
  // with members in another order, or cut off, nothing is taken for granted
  const [reordered] = readFrame(`{"type":"result","id":7,"success":true,"result":["${long}"]}`);
  assert.ok(reordered?.kind === "message" && reordered.message.type === "result");
  assert.deepEqual(reordered.message.result, [long]);
  assert.equal(readFrame(`${HEADS[0]}["${long}"]`)[0]?.kind, "malformed");
});

Deno.test("An entry that is no JSON costs no other", async () => {
  const texts = [entry(0), "{oops}", ...Array.from({ length: 999 }, (_, i) => entry(i + 1))];
  const entries: ListEntry[] = [];
  await readInSteps(
    answerOf(`${HEADS[0]}[${texts.join(",")}]}`),
    (all) => void entries.push(...all),
  );
  assert.equal(entries.length, 1_001);
  assert.deepEqual(entries[1], { value: undefined, text: "{oops}" });
});
