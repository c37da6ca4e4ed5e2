import assert from "node:assert/strict";
import { pythonFloat, pythonText, singleLine } from "../../../lib/enrich/homeassistant/python.ts";

Deno.test("pythonFloat reads what Python's float() reads", () => {
  const numbers: readonly (readonly [string, number])[] = [
    ["1", 1],
    ["-1.5", -1.5],
    ["+.5", 0.5],
    ["12.", 12],
    ["007", 7],
    ["1e5", 1e5],
    ["1.E-5", 1e-5],
    ["-0", -0],
    ["1_000", 1000],
    ["1_0.0_1e1_0", 10.01e10],
    ["  7 ", 7],
    ["\t\n\v\f\r7\n", 7],
    ["\u00a07\u2003\u3000\u0085", 7],
    ["١٢", 12],
    ["１_٢.３", 12.3],
    ["𝟘𝟙𝟗𝟛", 193],
    ["9007199254740993", 9007199254740992],
    ["0.1", 0.1],
    ["1e400", Infinity],
    ["-1e400", -Infinity],
    ["1e-400", 0],
    ["9".repeat(999), Infinity],
    ["inf", Infinity],
    ["-Inf", -Infinity],
    [" +iNfInItY ", Infinity],
    ["nan", NaN],
    ["-NaN", NaN],
  ];
  for (const [text, value] of numbers) assert.equal(pythonFloat(text), value, text);
});

Deno.test("pythonFloat reads nothing that only resembles a number", () => {
  const others = [
    "",
    " ",
    ".",
    "-",
    "e5",
    "1e",
    "1.5e",
    "+ 1",
    "+-1",
    "0x10",
    "1__0",
    "_1",
    "1_",
    "1_.5",
    "1._5",
    "1_e5",
    "1e_5",
    "12:30",
    "1,5",
    "1 2",
    "on",
    "in_f",
    "infin",
    "nan1",
    "\u22121",
    "\ufeff1",
    "\x1c1",
    "1\0",
    "①",
    "五",
  ];
  for (const text of others) assert.equal(pythonFloat(text), undefined, JSON.stringify(text));
});

Deno.test("pythonFloat knows the digits of every script", () => {
  let scripts = 0;
  for (let code = 0; code < 0x110000; code++) {
    if (!/\p{Nd}/u.test(String.fromCodePoint(code))) continue;
    for (let digit = 0; digit < 10; digit++) {
      assert.equal(pythonFloat(String.fromCodePoint(code + digit)), digit, code.toString(16));
    }
    code += 9;
    scripts++;
  }
  assert.ok(scripts >= 66, `only ${scripts} scripts`);
});

Deno.test("pythonFloat does not hang on texts without end", () => {
  const startMs = performance.now();
  for (const part of ["1", "1_", " ", "\u00a0", "1."]) {
    assert.equal(pythonFloat(`${part.repeat(100_000)}x`), undefined);
  }
  assert.ok(performance.now() - startMs < 1_000);
});

function textOf(json: string): string {
  return pythonText(json, () => false);
}

Deno.test("pythonText writes a value as Python's str()", () => {
  const texts: readonly (readonly [string, string])[] = [
    ['"it\'s"', "it's"],
    ['"a\\nb"', "a\nb"],
    ["true", "True"],
    ["false", "False"],
    ["null", "None"],
    ["5", "5"],
    ["5.0", "5.0"],
    ["1e5", "100000.0"],
    ["1E16", "1e+16"],
    ["9007199254740993", "9007199254740993"],
    ["-18446744073709551616", "-18446744073709551616"],
    ["1e999", "inf"],
    ["[]", "[]"],
    ["{}", "{}"],
    ['[ "value1" ,"value2" ]', "['value1', 'value2']"],
    ["[1,1.0,1e-5,true,null,[[]]]", "[1, 1.0, 1e-05, True, None, [[]]]"],
    ['{"a":10,"b":{"c":[{}]}}', "{'a': 10, 'b': {'c': [{}]}}"],
    ['{"b":1,"10":2,"1":3,"__proto__":4}', "{'b': 1, '10': 2, '1': 3, '__proto__': 4}"],
    ['{"1":true,"b":2,"1":3}', "{'1': True, 'b': 2, '1': 3}"],
    ['{ "a" : "b" , "c:" : ["d:"] }', "{'a': 'b', 'c:': ['d:']}"],
    ['{"k\\"\\n":1}', "{'k\"\\n': 1}"],
  ];
  for (const [json, text] of texts) assert.equal(textOf(json), text, json);
});

Deno.test("pythonText quotes and escapes a text inside a list as Python's repr()", () => {
  const texts: readonly (readonly [string, string])[] = [
    ["plain", "'plain'"],
    ["it's", `"it's"`],
    ['say "hi"', `'say "hi"'`],
    [`both ' "`, `'both \\' "'`],
    ["a\\b", "'a\\\\b'"],
    ["\n\r\t\0\x1f\x7f", "'\\n\\r\\t\\x00\\x1f\\x7f'"],
    ["\x80\u00a0\u00ad", "'\\x80\\xa0\\xad'"],
    ["é漢😀 °C", "'é漢😀 °C'"],
    ["\u200b\u2028\u3000\ue000\ufeff", "'\\u200b\\u2028\\u3000\\ue000\\ufeff'"],
    ["\u{e0001}\u{10ffff}", "'\\U000e0001\\U0010ffff'"],
    ["\ud800", "'\\ud800'"],
    ["'\u200b", `"'\\u200b"`],
  ];
  for (const [text, repr] of texts) assert.equal(textOf(JSON.stringify([text])), `[${repr}]`);
});

Deno.test("pythonText hides what it is told to, at any depth, whatever kind of value it is", () => {
  const json =
    '{"pin":[{"a":[]},[1]],"a":[{"pin":1.0},"secret",2],"b":{"pin":"x","c":{"pin":{}}},"secret":1}';
  assert.equal(
    pythonText(json, (key, text) => key === "pin" || text === "secret"),
    "{'pin': '***', 'a': [{'pin': '***'}, '***', 2], 'b': {'pin': '***', 'c': {'pin': '***'}}, 'secret': 1}",
  );
});

Deno.test("pythonText takes time by length, not by depth", () => {
  const startMs = performance.now();
  const depth = 500_000;
  const nested = `${"[".repeat(depth)}"${"x".repeat(depth)}"${"]".repeat(depth)}`;
  assert.equal(textOf(nested), nested.replaceAll('"', "'"));
  assert.ok(performance.now() - startMs < 2_000);
});

Deno.test("singleLine makes spaces of what Python's splitlines() splits at", () => {
  const texts: readonly (readonly [string, string])[] = [
    ["", ""],
    ["a b\t\u001f\u00a0", "a b\t\u001f\u00a0"],
    ["a\nb\rc\vd\fe\u001cf\u001dg\u001eh\u0085i\u2028j\u2029k", "a b c d e f g h i j k"],
    ["a\r\nb\n\rc", "a b  c"],
    ["\na", " a"],
    ["a\n", "a"],
    ["a\n\n", "a "],
    ["\n", ""],
    ["\n\n", " "],
  ];
  for (const [text, written] of texts) assert.equal(singleLine(text), written);
});
