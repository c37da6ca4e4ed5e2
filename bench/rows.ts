/** What the table says of each figure. */
import type { Row } from "./figures.ts";
import type { Plan } from "./plan.ts";

/** A figure of both programs together, and of each. */
function withParts(key: string, label: string, digits: number): Row[] {
  return [
    { key, label, digits },
    { key: `${key}_ingest`, label: "  ingest", digits },
    { key: `${key}_enrich`, label: "  enrich", digits },
  ];
}

/** The rows of a plan, in the table's order. */
export function rowsOf({ paced, ordinary, burst, backlog, moreFloods }: Plan): Row[] {
  const seconds = burst.count / burst.perSecond;
  return [
    { key: "per_second", label: "as fast as taken, until readable: events/s", digits: 0 },
    { key: "lost", label: "lost", digits: 0, over: "most" },
    { key: "cut_offs", label: "cut off as too slow a reader", digits: 0, over: "most" },
    { key: "most_pending", label: "most messages that waited for it", digits: 0, over: "most" },
    ...withParts("cpu_full", "CPU s per 1,000 events, as fast as taken", 4),
    ...withParts("cpu_ordinary", `CPU s per 1,000 events, at ${ordinary.perSecond}/s`, 4),
    ...paced.flatMap(({ name }): Row[] => [
      { key: `latency_p50 ${name}`, label: `fired → readable at ${name}, ms: p50`, digits: 0 },
      { key: `latency_p99 ${name}`, label: "  p99", digits: 0 },
      { key: `latency_max ${name}`, label: "  max", digits: 0 },
    ]),
    {
      key: "burst_ms",
      label: `${burst.count} in ${seconds} s: readable after the last, ms`,
      digits: 0,
    },
    { key: "start_ms", label: "start → capturing, ms", digits: 0 },
    ...withParts("rss_idle", `RSS at ${paced[0]?.name}, MiB`, 0),
    ...withParts("rss_load", "RSS under load, MiB", 0),
    ...withParts("rss_after", "RSS after it, MiB", 0),
    ...(moreFloods > 0
      ? [
        ...withParts("rss_last_flood", `RSS in flood ${moreFloods + 1}, MiB`, 0),
        ...["ingest", "enrich", "floor"].map((name) => ({
          key: `rss_growth_${name}`,
          label: `  ${name}'s, of that in the first`,
          digits: 2,
        })),
      ]
      : []),
    ...(backlog > 0
      ? [
        { key: "captured_per_second", label: "captured while enrich is away: events/s", digits: 0 },
        { key: "drain_s", label: `${backlog} that waited are delivered, s`, digits: 1 },
        { key: "drain_per_second", label: "  events/s", digits: 0 },
      ]
      : []),
  ];
}
