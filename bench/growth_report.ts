/** What `--growth` has to say. */
import { thousands } from "./figures.ts";
import type { EntitiesStep, Growth, WaitingStep } from "./growth.ts";
import { type Plot, plotSvg } from "./plot.ts";
import type { Report } from "./report.ts";
import { textColumns } from "./text_columns.ts";

/** One number of each step. */
interface Column<Step> {
  readonly label: string;
  readonly of: (step: Step) => number;
  readonly digits: number;
}

const ENTITIES: readonly Column<EntitiesStep>[] = [
  { label: "ingest, CPU µs/event", of: ({ ingestUs }) => ingestUs, digits: 1 },
  { label: "enrich, CPU µs/event", of: ({ enrichUs }) => enrichUs, digits: 1 },
  { label: "ingest, RSS MiB", of: ({ ingestMb }) => ingestMb, digits: 0 },
  { label: "enrich, RSS MiB", of: ({ enrichMb }) => enrichMb, digits: 0 },
];
const WAITING: readonly Column<WaitingStep>[] = [
  { label: "capture, CPU µs/event", of: ({ captureUs }) => captureUs, digits: 1 },
  { label: "next 1,000 delivered, ms", of: ({ deliverMs }) => deliverMs, digits: 1 },
  { label: "ingest, RSS MiB", of: ({ ingestMb }) => ingestMb, digits: 0 },
];

/** A table of steps, with the ratio of the last one to the first. */
function table<Step>(
  label: string,
  steps: readonly Step[],
  at: (step: Step) => number,
  columns: readonly Column<Step>[],
): string[] {
  const ratios = columns.map(({ of }) => {
    const [first, last] = [steps[0], steps.at(-1)];
    return first && last ? thousands(of(last) / of(first), 2) : "";
  });
  return textColumns([
    [label, ...columns.map((column) => column.label)],
    ...steps.map((step) => [
      thousands(at(step)),
      ...columns.map(({ of, digits }) => thousands(of(step), digits)),
    ]),
    ["last ÷ first", ...ratios],
  ]);
}

/** The tables, and four plots. */
export function growthReport({ entities, waiting }: Growth): Report {
  const entitiesOf = (of: (step: EntitiesStep) => number) =>
    entities.map((step) => [step.entities, of(step)] as const);
  const waitingOf = (of: (step: WaitingStep) => number) =>
    waiting.map((step) => [step.waiting, of(step)] as const);
  const plots: Record<string, Plot> = {
    "entities-cpu.svg": {
      title: "Processor time of an event, as fast as they are taken",
      xLabel: "entities of the house",
      yLabel: "CPU, µs an event",
      series: [
        { name: "ingest", points: entitiesOf(({ ingestUs }) => ingestUs) },
        { name: "enrich", points: entitiesOf(({ enrichUs }) => enrichUs) },
      ],
    },
    "entities-memory.svg": {
      title: "Memory after a flood of events",
      xLabel: "entities of the house",
      yLabel: "RSS, MiB",
      series: [
        { name: "ingest", points: entitiesOf(({ ingestMb }) => ingestMb) },
        { name: "enrich", points: entitiesOf(({ enrichMb }) => enrichMb) },
      ],
    },
    "waiting-time.svg": {
      title: "Capture and delivery while events wait in the outbox",
      xLabel: "events that wait",
      yLabel: "µs an event",
      series: [
        { name: "capture, CPU", points: waitingOf(({ captureUs }) => captureUs) },
        // milliseconds for 1,000 are microseconds for one
        { name: "delivery, elapsed", points: waitingOf(({ deliverMs }) => deliverMs) },
      ],
    },
    "waiting-memory.svg": {
      title: "Memory of ingest while events wait in the outbox",
      xLabel: "events that wait",
      yLabel: "RSS, MiB",
      series: [{ name: "ingest", points: waitingOf(({ ingestMb }) => ingestMb) }],
    },
  };
  return {
    text: [
      ...table("Entities", entities, (step) => step.entities, ENTITIES),
      "",
      ...table("Waiting", waiting, (step) => step.waiting, WAITING),
    ].join("\n"),
    figures: { entities, waiting },
    isVoid: false,
    plots: new Map(Object.entries(plots).map(([name, plot]) => [name, plotSvg(plot)])),
  };
}
