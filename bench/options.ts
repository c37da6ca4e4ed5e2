/** The benchmark's options. */
import { argumentsOf } from "../lib/program/command.ts";
import { ConfigError } from "../lib/settings/settings_reader.ts";
import type { PageSection } from "./performance_page.ts";
import { type Plan, planOf } from "./plan.ts";
import { type StoreName, STORES } from "./store.ts";

export const HELP = `deno task bench: measures both programs, as they are run, beside the floor: a
Deno program that reads the same events and writes them to the same store with nothing in between
(bench/floor.ts). It needs Linux. Nothing leaves this machine.

  --store=NAME       where they store: ${STORES.join(", ")}
                     (default: none, a server that takes everything and keeps nothing). influxdb-1
                     is the influxd in PATH, influxdb-2.7 and victoriametrics are the servers that
                     INFLUXD_2_7 and VICTORIA_METRICS name. With local the floor writes to none
  --runs=N           rounds, of whose figures the median counts (default: 1)
  --against=COMMIT   runs another commit of this repository beside it, in turn: v0.1.0, for example
  --backlog=N        how many events wait while enrich is away (default: 100000; 0 for none)
  --floods           three floods of 100,000 events in place of one, a minute apart
  --loop             in place of rounds: the longest turns of both event loops, in large houses,
                     with a million events that wait and with 100,000 dead letters; some minutes
  --growth           in place of rounds: what an event costs and how much memory is taken, from 10
                     entities to 50,000, and from 10 events that wait to a million; some minutes
  --slow-sync        in place of rounds: a minute of 2,000 events a second while each sync of
                     ingest's takes 200 ms longer. It needs strace, which may trace a program
  --docs             writes the table, and the plots of --growth, into docs/performance.md, too
  --json=FILE        writes all figures of all rounds there, too; FILE must be below this folder or
                     the temporary one
  --quick            so few events that it only shows that everything works
  --help

Where COMPILED_DIR names a folder, the programs of \`deno task compile\` that are there are run in
place of the sources, but for --loop and --slow-sync. A round is void where the floor stays below
0.6 of what it would reach if it read and the store wrote in turn, each as fast as alone in that
round: the machine was busy with something else. The exit status is 1 where every round is void.
`;

/** What can be measured in place of rounds. */
const OTHERS = ["loop", "growth", "slow-sync"] as const;

export interface BenchOptions {
  readonly help: boolean;
  readonly kind: PageSection;
  readonly quick: boolean;
  /** Whether what is measured goes into the documentation. */
  readonly docs: boolean;
  readonly store: StoreName;
  readonly rounds: number;
  /** The other commit, as git knows it. */
  readonly against: string | undefined;
  /** The file for all figures. */
  readonly json: string | undefined;
  readonly plan: Plan;
}

/** Reads the options. Throws WrongUse for one that is unknown, ConfigError for values that are wrong. */
export function readOptions(args: readonly string[]): BenchOptions {
  const problems: string[] = [];
  const { values } = argumentsOf({
    args: [...args],
    options: {
      help: { type: "boolean" },
      store: { type: "string" },
      runs: { type: "string" },
      against: { type: "string" },
      backlog: { type: "string" },
      floods: { type: "boolean" },
      loop: { type: "boolean" },
      growth: { type: "boolean" },
      "slow-sync": { type: "boolean" },
      docs: { type: "boolean" },
      json: { type: "string" },
      quick: { type: "boolean" },
    },
  });
  const numberOf = (name: string, text: string | undefined, least: number) => {
    if (text === undefined) return undefined;
    if (/^\d+$/.test(text) && Number(text) >= least) return Number(text);
    problems.push(`--${name}=${text}: it must be a whole number from ${least}`);
  };
  const rounds = numberOf("runs", values.runs, 1);
  const backlog = numberOf("backlog", values.backlog, 0);
  const store = STORES.find((name) => name === (values.store ?? "none"));
  if (!store) problems.push(`--store=${values.store}: it must be one of ${STORES.join(", ")}`);
  const kinds = OTHERS.filter((kind) => values[kind]);
  if (kinds.length > 1) problems.push(`--${kinds.join(" and --")}: one at a time`);
  const ofRounds = (["runs", "against", "backlog", "floods"] as const)
    .filter((name) => values[name] !== undefined);
  if (kinds.length > 0 && ofRounds.length > 0) {
    problems.push(`--${kinds[0]} has no rounds: leave out --${ofRounds.join(", --")}`);
  }
  if (values.docs && values.quick) {
    problems.push("--docs and --quick: what is measured with --quick is no documentation");
  }
  if (problems.length > 0 || !store) throw new ConfigError(problems);
  return {
    help: values.help ?? false,
    kind: kinds[0] ?? "rounds",
    quick: values.quick ?? false,
    docs: values.docs ?? false,
    store,
    rounds: rounds ?? 1,
    against: values.against,
    json: values.json,
    plan: planOf({ quick: values.quick ?? false, backlog, floods: values.floods ?? false }),
  };
}
