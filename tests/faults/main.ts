/** Runs the scorecard: see `--help`. */
import { argumentsOf, complainOf, processOutput, WrongUse } from "../../lib/program/command.ts";
import { endAll, Process, takeOutputs } from "../real/parts/process.ts";
import { Turns } from "../real/parts/turns.ts";
import { lineOf, tableOf } from "./result_text.ts";
import { type FaultSizes, LONG_SIZES, type Row, SIZES } from "./row.ts";
import { isGreen, type RowResult, runRow } from "./row_result.ts";
import { LINKED_ROWS, ROWS } from "./scorecard.ts";

const HELP = `deno task faults: does to both programs what can happen to them, row by row, and says
what was lost. They run as they do in use, as processes on real sockets and real SQLite files; the
house is simulated, and InfluxDB is the influxd in PATH (Debian: influxdb). It needs Linux, and for
some rows root and faketime. Nothing leaves this machine.

  --row=N            that row only; more than once for more rows
  --list             names the rows, and runs none
  --long             50, 50 and 20 kills in place of 5, 5 and 2, an outage of two hours, and all of
                     it while two endless loops hold the processor
  --outage=SECONDS   how long the store is away in row 4
  --at-once=N        so many rows at a time (default: 3)
  --help

Each row is run twice: as it is, and once more with a flow that is sabotaged, its control, of which
the same judgement must say so. The exit status is 1 where a row is not as promised, or a control
is not noticed. CONTRIBUTING.md says what is judged.
`;

const LOOPS = 2;

interface FaultOptions {
  readonly rows: readonly Row[];
  readonly sizes: FaultSizes;
  readonly isLong: boolean;
  readonly atOnce: number;
  readonly only: "help" | "list" | undefined;
}

/** Throws WrongUse. */
function readOptions(args: readonly string[]): FaultOptions {
  const { values } = argumentsOf({
    args: [...args],
    options: {
      row: { type: "string", multiple: true },
      list: { type: "boolean" },
      long: { type: "boolean" },
      outage: { type: "string" },
      "at-once": { type: "string" },
      help: { type: "boolean" },
    },
  });
  const wanted = new Set(values.row ?? ROWS.map(({ number }) => number));
  for (const number of wanted) {
    if (ROWS.some((row) => row.number === number)) continue;
    const linked = LINKED_ROWS.find((row) => row.number === number);
    throw new WrongUse(
      linked
        ? `--row=${number}: that row is a suite of its own, ${linked.suite}`
        : `--row=${number}: there is no such row; see --list`,
    );
  }
  const numberOf = (name: string, text: string | undefined, otherwise: number) => {
    if (text === undefined) return otherwise;
    if (/^[1-9]\d*$/.test(text)) return Number(text);
    throw new WrongUse(`--${name}=${text}: it must be a whole number from 1`);
  };
  const sizes = values.long ? LONG_SIZES : SIZES;
  return {
    rows: ROWS.filter(({ number }) => wanted.has(number)),
    sizes: { ...sizes, outageSeconds: numberOf("outage", values.outage, sizes.outageSeconds) },
    isLong: values.long ?? false,
    atOnce: numberOf("at-once", values["at-once"], 3),
    only: values.help ? "help" : values.list ? "list" : undefined,
  };
}

function listText(): string {
  const all = [
    ...ROWS.map(({ number, fault, promise, control }) => ({
      number,
      text: `${fault}\n    promised: ${promise}\n    control: ${control.sabotage}`,
    })),
    ...LINKED_ROWS.map(({ number, fault, promise, suite }) => ({
      number,
      text: `${fault}\n    promised: ${promise}\n    see ${suite}`,
    })),
  ];
  all.sort((a, b) => Number(a.number) - Number(b.number));
  return all.map(({ number, text }) => `${number.padStart(2)}  ${text}\n`).join("");
}

async function faults({ rows, sizes, isLong, atOnce }: FaultOptions): Promise<number> {
  if (isLong) {
    for (let i = 0; i < LOOPS; i++) new Process("loop", ["bash", "-c", "while :; do :; done"]);
  }
  const turns = new Turns(atOnce);
  const results: RowResult[] = await Promise.all(rows.map((row) =>
    turns.take(async () => {
      let said = "";
      const say = (text: string) => {
        const step = text.split(":")[0]?.replace(/\d+/g, "") ?? "";
        if (step === said) return;
        said = step;
        output.complain(`row ${row.number}: ${text}`);
      };
      const result = await runRow(row, { sizes, say });
      output.write(`${lineOf(result)}\n`);
      return result;
    })
  ));
  output.write(`\n${tableOf(results)}\n`);
  for (const { number, suite } of LINKED_ROWS) output.write(`Row ${number}: see ${suite}\n`);
  return results.every(isGreen) ? 0 : 1;
}

/** Runs in a folder of its own for all that is temporary, which goes however it ends. */
async function main(args: readonly string[]): Promise<number> {
  const options = readOptions(args);
  if (options.only !== undefined) {
    output.write(options.only === "help" ? HELP : listText());
    return 0;
  }
  const folder = await Deno.makeTempDir({ prefix: "faults-" });
  Deno.env.set("TMPDIR", folder);
  const interrupted = Promise.withResolvers<number>();
  Deno.addSignalListener("SIGINT", () => interrupted.resolve(130));
  Deno.addSignalListener("SIGTERM", () => interrupted.resolve(143));
  try {
    return await Promise.race([faults(options), interrupted.promise]);
  } finally {
    await endAll();
    takeOutputs();
    await Deno.remove(folder, { recursive: true });
  }
}

const output = processOutput("faults");

if (import.meta.main) {
  Deno.exit(await main(Deno.args).catch((error: unknown) => complainOf(error, output)));
}
