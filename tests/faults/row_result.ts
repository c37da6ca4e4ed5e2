/** Runs a row and its control, and says how they ended. */
import { describeError } from "../../lib/retry.ts";
import { type Finding, judge, type Tally, tallyOf } from "./oracle.ts";
import type { FaultSizes, Row } from "./row.ts";

export interface RowResult {
  readonly row: Row;
  readonly tally: Tally | undefined;
  /** What is not as promised. */
  readonly findings: readonly Finding[];
  /** Whether the control turned red, and for the reason expected. */
  readonly controlIsRed: boolean;
  /** What the oracle said of the control. */
  readonly control: string;
  readonly seconds: number;
}

export function isGreen({ findings, controlIsRed }: RowResult): boolean {
  return findings.length === 0 && controlIsRed;
}

export interface RunOptions {
  readonly sizes: FaultSizes;
  readonly say: (text: string) => void;
}

/** Never throws: a run that cannot be carried out is a broken promise. */
export async function runRow(row: Row, { sizes, say }: RunOptions): Promise<RowResult> {
  const startMs = performance.now();
  let tally: Tally | undefined;
  let findings: readonly Finding[] = [];
  try {
    const evidence = await row.run({ sizes, isControl: false, say });
    findings = judge(evidence);
    tally = tallyOf(evidence, findings);
  } catch (error) {
    findings = [{ kind: "promise", text: describeError(error), count: 1 }];
  }
  let controlIsRed = false;
  let control = "";
  const { red, words = /(?:)/, run } = row.control;
  try {
    const saying = (text: string) => say(`control: ${text}`);
    const found = judge(await run({ sizes, isControl: true, say: saying }));
    controlIsRed = found.some(({ kind, text }) => kind === red && words.test(text));
    control = found.map(({ kind, text }) => `${kind}: ${text}`).join(" | ") || "green";
  } catch (error) {
    control = `could not be run: ${describeError(error)}`;
  }
  const seconds = (performance.now() - startMs) / 1000;
  return { row, tally, findings, controlIsRed, control, seconds };
}
