/** Prometheus' text format, read back, and the equation that ingest's numbers must keep. */

/** `name{labels}` as written → its number. */
export type Metrics = ReadonlyMap<string, number>;

/** A program has answered a scrape, and what it says cannot be true. */
export class WrongScrape extends Error {}

/** Asks a program for its metrics. Throws WrongScrape; any other error where it gives no whole answer. */
export async function scrape(programUrl: string): Promise<Metrics> {
  const response = await fetch(`${programUrl}/metrics`, { signal: AbortSignal.timeout(10_000) });
  const text = await response.text();
  if (!response.ok) throw new WrongScrape(`GET /metrics: ${response.status}`);
  return parseMetrics(text);
}

/** Reads the samples of a scrape. Throws WrongScrape on a line that is none. */
export function parseMetrics(text: string): Metrics {
  const metrics = new Map<string, number>();
  for (const line of text.split("\n")) {
    if (line === "" || line.startsWith("#")) continue;
    const match = /^([a-zA-Z_:][\w:]*(?:\{.*\})?) (\S+)(?: \d+)?$/.exec(line);
    if (match?.[1] === undefined) throw new WrongScrape(`Cannot read ${line}`);
    metrics.set(match[1], Number(match[2]));
  }
  return metrics;
}

/** The number of a metric over all its labels; 0 where it has no sample yet. */
export function total(metrics: Metrics, name: string): number {
  let sum = 0;
  for (const [key, value] of metrics) {
    if (key === name || key.startsWith(`${name}{`)) sum += value;
  }
  return sum;
}

/** A counter by the value of its label `reason`, without those that are 0. */
export function byReason(
  metrics: Metrics,
  name: string,
): Record<string, number> {
  const reasons: Record<string, number> = {};
  for (const [key, value] of metrics) {
    const reason = /[{,]reason="([^"]*)"/.exec(key)?.[1];
    if (key.startsWith(`${name}{`) && reason !== undefined && value > 0) {
      reasons[reason] = value;
    }
  }
  return reasons;
}

/** Both sides of received = delivered + left out + dead letters + dropped + waiting. */
export function equationOf(
  metrics: Metrics,
): { received: number; ends: number; text: string } {
  const received = required(metrics, "ingest_events_received_total");
  const delivered = required(metrics, "ingest_events_delivered_total");
  const deadLettered = required(metrics, "ingest_events_dead_lettered");
  const queued = required(metrics, "ingest_events_queued");
  const skipped = total(metrics, "ingest_events_skipped_total");
  const dropped = total(metrics, "ingest_events_dropped_total");
  return {
    received,
    ends: delivered + skipped + deadLettered + dropped + queued,
    text: `received ${received} = delivered ${delivered} + left out ${skipped}` +
      ` + dead letters ${deadLettered} + dropped ${dropped} + waiting ${queued}`,
  };
}

/** Throws WrongScrape where the equation is broken. */
export function mustBalance(metrics: Metrics): void {
  const { received, ends, text } = equationOf(metrics);
  if (received !== ends) throw new WrongScrape(`The equation is broken: ${text}`);
}

function required(metrics: Metrics, name: string): number {
  const value = metrics.get(name);
  if (value === undefined) throw new WrongScrape(`Cannot find the metric ${name}`);
  return value;
}
