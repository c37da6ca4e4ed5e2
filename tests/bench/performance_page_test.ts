import assert from "node:assert/strict";
import { withSection, writeSection } from "../../bench/performance_page.ts";
import { growthReport } from "../../bench/growth_report.ts";
import { TemporaryFolder } from "../temporary.ts";

const PAGE = "# Page\n\n<!-- loop -->\n\nold\n\n<!-- end of loop -->\n\nrest\n";

Deno.test("A section of the page is replaced, and nothing else", () => {
  const once = withSection(PAGE, "loop", "a  1\nb  2");
  assert.equal(
    once,
    "# Page\n\n<!-- loop -->\n\n```text\na  1\nb  2\n```\n\n<!-- end of loop -->\n\nrest\n",
  );
  assert.equal(withSection(once, "loop", "a  1\nb  2"), once);
  assert.throws(() => withSection(PAGE, "growth", ""), /no section <!-- growth -->/);
  assert.throws(() => withSection("<!-- loop -->", "loop", ""), /no section <!-- loop -->/);
});

Deno.test("Plots are written into the folder that has the page's name", async () => {
  using folder = new TemporaryFolder();
  const path = folder.file("performance.md");
  Deno.writeTextFileSync(path, PAGE);
  await writeSection(path, "loop", "new", new Map([["a.svg", "<svg/>"]]));
  assert.match(Deno.readTextFileSync(path), /new/);
  assert.equal(Deno.readTextFileSync(folder.file("performance/a.svg")), "<svg/>");
});

Deno.test("The page has every section, and shows every plot that is written beside it", async () => {
  const page = await Deno.readTextFile(new URL("../../docs/performance.md", import.meta.url));
  for (const section of ["rounds", "loop", "growth", "slow-sync"] as const) {
    assert.notEqual(withSection(page, section, "x"), page, section);
  }
  const step = { waiting: 1, captureUs: 1, deliverMs: 1, ingestMb: 1 };
  const entities = { entities: 1, ingestUs: 1, enrichUs: 1, ingestMb: 1, enrichMb: 1 };
  const { plots } = growthReport({ entities: [entities], waiting: [step] });
  for (const name of plots?.keys() ?? []) assert.ok(page.includes(`(performance/${name})`), name);
});
