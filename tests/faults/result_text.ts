/** Results as people read them: a line for each row, and a table of all. */
import { textColumns } from "../../bench/text_columns.ts";
import { isGreen, type RowResult } from "./row_result.ts";

const HEAD = [
  "row",
  "",
  "control",
  "fault",
  "injected",
  "events",
  "stored",
  "waiting",
  "dead letters",
  "dropped",
  "lost",
  "scrapes",
  "recovery",
  "took",
] as const;

function cells(result: RowResult): string[] {
  const { row, tally, seconds, controlIsRed, findings } = result;
  const dropped = Object.entries(tally?.dropped ?? {});
  return [
    row.number,
    findings.length === 0 ? "ok" : "BROKEN",
    controlIsRed ? "red" : "GREEN",
    row.fault,
    tally?.injected || "nothing",
    ...[tally?.events, tally?.stored, tally?.waiting, tally?.deadLetters].map((n) =>
      String(n ?? "–")
    ),
    dropped.map(([reason, count]) => `${count} ${reason}`).join(", ") || "0",
    String(tally?.lost ?? "–"),
    String(tally?.scrapes ?? "–"),
    tally ? `${tally.recoverySeconds.toFixed(1)} s` : "–",
    `${seconds.toFixed(0)} s`,
  ];
}

/** One line, and where something is not as promised what that is. */
export function lineOf(result: RowResult): string {
  const { findings, control, row, controlIsRed } = result;
  const [number, state, , ...rest] = cells(result);
  const figures = rest.map((cell, i) => i === 0 ? cell : `${HEAD[i + 3]} ${cell}`).join(" · ");
  const lines = [`${number} ${state}: ${figures}; control ${controlIsRed ? "red" : "GREEN"}`];
  for (const { kind, text } of findings) lines.push(`    ${kind}: ${text}`);
  if (!controlIsRed) {
    lines.push(
      `    control (${row.control.sabotage}) is not red for "${row.control.red}": ${control}`,
    );
  }
  return lines.join("\n");
}

/** How often something was injected, whatever it was. */
function countOf(injected: string): string {
  const counts = [...injected.matchAll(/(?:^|, )(\d+) /g)].map(([, count]) => Number(count));
  return String(counts.reduce((sum, count) => sum + count, 0));
}

export function tableOf(results: readonly RowResult[]): string {
  const bad = results.filter((result) => !isGreen(result));
  const end = bad.length === 0
    ? `All ${results.length} rows are as promised, and all controls red.`
    : `Not as promised: row ${bad.map(({ row }) => row.number).join(", ")}.`;
  const lines = [HEAD, ...results.map(cells)].map(
    ([number, state, control, fault = "", injected = "", ...figures], line) => [
      `${number} ${fault}`.slice(0, 60),
      state ?? "",
      control ?? "",
      line === 0 ? injected : countOf(injected),
      ...figures,
    ],
  );
  return [...textColumns(lines), "", end].join("\n");
}
