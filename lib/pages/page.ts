/** The page of a program: its files as they are, the verdict in the HTML, and what changes on it as a stream. */
import type { Hono } from "hono";
import { redact } from "../log.ts";
import { VERSION } from "../program/program.ts";
import type { PageSource, Verdict } from "../serve/server.ts";
import drawingScript from "./drawing.js" with { type: "text" };
import enrichMain from "./enrich_page.html" with { type: "text" };
import enrichScript from "./enrich_page.js" with { type: "text" };
import ingestMain from "./ingest_page.html" with { type: "text" };
import ingestScript from "./ingest_page.js" with { type: "text" };
import { Live } from "./live.ts";
import pageStyle from "./page.css" with { type: "text" };
import shell from "./page.html" with { type: "text" };
import partsStyle from "./parts.css" with { type: "text" };
import watchScript from "./watch.js" with { type: "text" };

const MAIN = { ingest: ingestMain, enrich: enrichMain };
const SCRIPT = { ingest: ingestScript, enrich: enrichScript };
const ICONS = {
  well: { colour: "#1a7f4b", mark: "M9 17l5 5 9-11" },
  note: { colour: "#b45309", mark: "M16 9v9m0 4v1" },
  bad: { colour: "#c02626", mark: "M11 11l10 10m0-10L11 21" },
};

/**
 * Adds `/`, its files and its stream `/live` to the program's routes. Every URL in them is relative,
 * so that they work under any prefix. The streams end when the signal is aborted.
 */
export function addPage(app: Hono, source: PageSource, stopping: AbortSignal): void {
  const { name } = source;
  const live = new Live(source, stopping);
  app.get("/", (c) => c.html(pageOf(source)));
  app.get("/live", (c) => live.open(c.req.method));
  const files: [path: string, type: string, text: string][] = [
    ["page.css", "text/css", pageStyle],
    ["parts.css", "text/css", partsStyle],
    ["drawing.js", "text/javascript", drawingScript],
    ["watch.js", "text/javascript", watchScript],
    [`${name}_page.js`, "text/javascript", SCRIPT[name]],
    ...Object.entries(ICONS).map(([level, icon]): [string, string, string] => [
      `icon-${level}.svg`,
      "image/svg+xml",
      iconOf(icon),
    ]),
  ];
  for (const [path, type, text] of files) {
    // asked for again each time, so that a page never has another release's script
    const headers = { "content-type": `${type}; charset=utf-8`, "cache-control": "no-cache" };
    app.get(`/${path}`, (c) => c.body(text, 200, headers));
  }
}

function pageOf({ name, verdict, status, notes }: PageSource): string {
  const { level, headline, reasons } = verdict();
  const numbers = Object.entries(notes?.() ?? {})
    .map(([note, n]) => `<p>${escaped(note.replaceAll("_", " "))}: ${n}</p>`).join("");
  return filled(shell, {
    name,
    version: VERSION,
    level,
    title: escaped(`${name}: ${headline}`),
    headline: escaped(headline),
    reasons: reasonsOf(reasons),
    numbers: `${numbers}<pre>${escaped(JSON.stringify(status(), undefined, 2))}</pre>`,
    main: MAIN[name],
  });
}

function reasonsOf(reasons: Verdict["reasons"]): string {
  return reasons.map(({ reason, action }) =>
    `<li><strong>${escaped(reason)}</strong> <span>${escaped(action)}</span></li>`
  ).join("");
}

function filled(template: string, values: Readonly<Record<string, string>>): string {
  return template.replace(/\{\{ ?(\w+) ?\}\}/g, (_, name) => values[name] ?? "");
}

function escaped(text: string): string {
  return redact(text).replace(/[&<>"']/g, (c) => `&#${c.charCodeAt(0)};`);
}

function iconOf({ colour, mark }: { readonly colour: string; readonly mark: string }): string {
  return `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 32 32">` +
    `<circle cx="16" cy="16" r="15" fill="${colour}"/><path d="${mark}" fill="none" stroke="#fff" ` +
    `stroke-width="4" stroke-linecap="round" stroke-linejoin="round"/></svg>\n`;
}
