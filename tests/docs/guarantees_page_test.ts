import assert from "node:assert/strict";
import { LINKED_ROWS, ROWS } from "../faults/scorecard.ts";
import { codeSpans, exists, page } from "./markdown.ts";

const ROOT = new URL("../../", import.meta.url);
const { text } = page("docs/guarantees.md");

interface NamedTest {
  readonly path: string;
  readonly name: string;
}

/** The tests that a text names: the file's path, and the test's name in quotes. */
function testsIn(text: string): readonly NamedTest[] {
  return codeSpans(text).flatMap((code) => {
    const [, path, name] = /^(tests\/\S+_test\.ts) "(.+)"$/.exec(code) ?? [];
    return path === undefined || name === undefined ? [] : [{ path, name }];
  });
}

/** The names of the file's tests, each as it is written there; what is put into it is `…`. */
function namesIn(path: string): readonly string[] {
  const source = Deno.readTextFileSync(new URL(path, ROOT));
  const named = source.matchAll(
    /(?:\b(?:Deno\.test|realTest)\(\s*|^\s*)("(?:[^"\\\n]|\\.)+"|`[^`]+`)(?=\s*[,:])/gm,
  );
  return [...named].map(([, literal = ""]) =>
    literal.slice(1, -1).replaceAll(/\$\{[^}]*\}/g, "…").replaceAll('\\"', '"')
  );
}

function missingTests(text: string): readonly string[] {
  return testsIn(text).filter(({ path, name }) =>
    !exists(new URL(path, ROOT)) || !namesIn(path).includes(name)
  ).map(({ path, name }) => `${path} ${name}`);
}

Deno.test("Every test that docs/guarantees.md names is there", () => {
  assert.deepEqual(missingTests(text), []);
  assert.ok(testsIn(text).length > 40, `only ${testsIn(text).length} are named`);
});

Deno.test("A test that is not there, or is called otherwise, is noticed", () => {
  const here = "tests/docs/guarantees_page_test.ts";
  const name = "Every test that docs/guarantees.md names is there";
  assert.deepEqual(missingTests(`\`${here} "${name}"\``), []);
  assert.equal(missingTests(`\`${here} "${name}!"\``).length, 1);
  assert.equal(missingTests(`\`tests/docs/none_test.ts "${name}"\``).length, 1);
});

Deno.test("Each fault of docs/guarantees.md says what is promised, what is lost, and what proves it", () => {
  const faults = text.split(/^#+ /m).filter((part) => /^- /m.test(part));
  assert.ok(faults.length > 20, `only ${faults.length} faults`);
  for (const fault of faults) {
    const [heading = ""] = fault.split("\n");
    const items = [...fault.matchAll(/^- (\w+):/gm)].map(([, item]) => item);
    assert.deepEqual(items, ["Promised", "Lost", "Tests"], heading);
    assert.ok(testsIn(fault).length > 0, heading);
  }
});

Deno.test("README's guarantees point to docs/guarantees.md", () => {
  const [, promised = ""] = /^## What is guaranteed\n([^]*?)^## /m.exec(page("README.md").text) ??
    [];
  assert.match(promised, /\]\(docs\/guarantees\.md/);
});

Deno.test("The page names each row of the scorecard, and no other", () => {
  const named = codeSpans(text).flatMap((code) => {
    const [, number] = /^deno task faults --row=(\d+)$/.exec(code) ?? [];
    return number ?? [];
  });
  // row 0 is the run without a fault
  const there = ROWS.map(({ number }) => number).filter((number) => number !== "0");
  assert.deepEqual(named.sort(), there.sort());
  for (const { suite } of LINKED_ROWS) assert.ok(text.includes(`\`${suite}`), suite);
});
