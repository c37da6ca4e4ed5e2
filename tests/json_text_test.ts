import assert from "node:assert/strict";
import fc from "fast-check";
import { elementTexts, hasLongInteger, memberText, parseExactly } from "../lib/json_text.ts";
import { recordedFrames } from "./simulator/recording.ts";

/** Ways of writing one JSON value: white space, escapes and numbers as they may come. */
interface Spelling {
  readonly space: () => string;
  readonly escape: () => boolean;
}

const spelling: fc.Arbitrary<Spelling> = fc.tuple(
  fc.array(fc.constantFrom("", "", " ", "\n", "\t", "\r\n  "), { minLength: 1 }),
  fc.array(fc.boolean(), { minLength: 1 }),
).map(([spaces, escapes]) => {
  let at = 0;
  return {
    space: () => spaces[at++ % spaces.length],
    escape: () => escapes[at++ % escapes.length],
  };
});

/** Texts that could lead a scanner astray. */
const trickyText = fc.oneof(
  fc.string({ unit: "binary" }),
  fc.string({
    unit: fc.constantFrom('"', "\\", "{", "}", "[", "]", ",", ":", "u", " "),
  }),
  fc.constantFrom("__proto__", "constructor", "event", "a"),
);

const jsonValue = fc.jsonValue({ stringUnit: "binary" });
const trickyValue = fc.letrec((tie) => ({
  value: fc.oneof(
    { depthSize: "small", withCrossShrink: true },
    trickyText,
    jsonValue,
    fc.array(tie("value"), { maxLength: 4 }),
    fc.dictionary(trickyText, tie("value"), { maxKeys: 4, noNullPrototype: true }),
  ),
})).value;

function writeText(text: string, { escape }: Spelling): string {
  const units = text.split("").map((unit) =>
    escape()
      ? `\\u${unit.charCodeAt(0).toString(16).padStart(4, "0")}`
      : JSON.stringify(unit).slice(1, -1)
  );
  return `"${units.join("")}"`;
}

function write(value: unknown, how: Spelling): string {
  const { space } = how;
  if (typeof value === "string") return writeText(value, how);
  if (Array.isArray(value)) {
    const items = value.map((item) => `${space()}${write(item, how)}${space()}`);
    return `[${items.length === 0 ? space() : items.join(",")}]`;
  }
  if (typeof value === "object" && value !== null) {
    const members = Object.entries(value).map(([name, member]) =>
      `${space()}${writeText(name, how)}${space()}:${space()}${write(member, how)}${space()}`
    );
    return `{${members.length === 0 ? space() : members.join(",")}}`;
  }
  return JSON.stringify(value);
}

/** Whether the parts stand in the text one after the other, letter by letter. */
function standIn(text: string, parts: readonly string[]): boolean {
  let at = 0;
  return parts.every((part) => {
    const found = text.indexOf(part, at);
    at = found + part.length;
    return found !== -1;
  });
}

function assertTaken(text: string): void {
  const value: unknown = JSON.parse(text);
  const elements = elementTexts(text);
  assert.ok(standIn(text, elements));
  assert.deepEqual(
    elements.map((element) => JSON.parse(element)),
    Array.isArray(value) ? value : [value],
  );
  if (Array.isArray(value)) {
    for (const element of elements) assert.equal(element, element.trim());
  }
  assert.equal(memberText(text, "no such member"), undefined);
  if (typeof value !== "object" || value === null || Array.isArray(value)) {
    return;
  }
  for (const [name, member] of Object.entries(value)) {
    const found = memberText(text, name);
    assert.ok(found !== undefined && text.includes(found), name);
    assert.deepEqual(JSON.parse(found), member);
    assert.equal(found, found.trim());
  }
}

Deno.test("elementTexts and memberText give the parts of any JSON, however it is spelled", () => {
  fc.assert(
    fc.property(trickyValue, spelling, (value, how) => {
      assertTaken(`${how.space()}${write(value, how)}${how.space()}`);
    }),
    { numRuns: 300 },
  );
});

Deno.test("elementTexts and memberText give the parts of every recorded frame", () => {
  let count = 0;
  for (const frame of recordedFrames()) {
    if (frame === "hello") continue;
    assertTaken(frame);
    for (const message of elementTexts(frame)) {
      assertTaken(message);
      const event = memberText(message, "event");
      if (event === undefined) continue;
      assertTaken(event);
      assertTaken(memberText(event, "data") ?? "{}");
      count++;
    }
  }
  assert.ok(count > 400, `${count} events`);
});

Deno.test("elementTexts and memberText keep numbers as they were written", () => {
  const numbers = "[1.0, 1 ,9007199254740993,1e5,1E+05,-0.0]";
  assert.deepEqual(elementTexts(numbers), [
    "1.0",
    "1",
    "9007199254740993",
    "1e5",
    "1E+05",
    "-0.0",
  ]);
  assert.equal(memberText('{"a": 1.50 , "b":2}', "a"), "1.50");
  assert.deepEqual(elementTexts(" [ ] "), []);
});

Deno.test("memberText takes the last of two members with one name, as JSON.parse does", () => {
  assert.equal(memberText('{"a":1,"\\u0061":2.0}', "a"), "2.0");
  assert.equal(memberText('{"b":{"a":1}}', "a"), undefined);
  assert.equal(memberText('["a"]', "a"), undefined);
  assert.equal(memberText("{}", "a"), undefined);
});

const longInteger = fc.oneof(
  fc.bigInt({ min: -(2n ** 54n), max: 2n ** 54n }),
  fc.bigInt({ min: -(10n ** 40n), max: 10n ** 40n }),
).map(String);
const jsonWithLongIntegers = fc.letrec<{ text: string }>((tie) => ({
  text: fc.oneof(
    { depthSize: "small", withCrossShrink: true },
    longInteger,
    fc.integer().map(String),
    trickyText.map((text) => JSON.stringify(text)),
    fc.array(tie("text"), { maxLength: 4 }).map((texts) => `[${texts.join(",")}]`),
    fc.uniqueArray(fc.tuple(trickyText, tie("text")), { maxLength: 4, selector: ([name]) => name })
      .map((all) => `{${all.map(([name, text]) => `${JSON.stringify(name)}:${text}`).join(",")}}`),
  ),
})).text;

Deno.test("parseExactly loses no digit of a whole number, and hasLongInteger knows where one could be", () => {
  let lost = 0;
  fc.assert(
    fc.property(jsonWithLongIntegers, (json) => {
      const exact = JSON.stringify(parseExactly(json));
      const byName = (text: string) => text.match(/-?\d+/g)?.toSorted().join();
      assert.equal(byName(exact), byName(json));
      assert.equal(JSON.stringify(JSON.parse(exact)), JSON.stringify(JSON.parse(json)));
      if (JSON.stringify(JSON.parse(json)) === exact) return;
      lost++;
      assert.ok(hasLongInteger(`{"event":${json}}`), json);
    }),
    { numRuns: 1_000, seed: 1 },
  );
  assert.ok(lost > 100, `digits were lost only ${lost} times`);
});

Deno.test("parseExactly leaves numbers that are not whole as JSON.parse makes them", () => {
  assert.equal(
    JSON.stringify(parseExactly("[1.0,-0,1e3,9007199254740991,0.1234567890123456789,1e30]")),
    "[1,0,1000,9007199254740991,0.12345678901234568,1e+30]",
  );
  for (const json of ['{"a":0.1234567890123456}', '{"a":"1234567890123456789"}', '{"a":1}']) {
    assert.ok(!hasLongInteger(json), json);
  }
});
