/** Damage to an outbox's file, and what then comes of its use. */
import type { Outbox } from "../../lib/ingest/outbox/outbox.ts";
import type { Damage } from "./actions.ts";

const PAGE_BYTES = 4_096;

/** Damages the file, which must be closed. */
export function damageFile(path: string, { where, part }: Damage): void {
  const bytes = Deno.readFileSync(path);
  const at = Math.floor(part * bytes.length / PAGE_BYTES) * PAGE_BYTES;
  if (where === "all") bytes.fill("x".charCodeAt(0));
  else if (where === "page") bytes.fill(0xff, at, at + PAGE_BYTES);
  else if (where === "rest") bytes.fill(0xff, Math.max(at, PAGE_BYTES));
  Deno.writeFileSync(path, where === "cut" ? bytes.subarray(0, Math.max(at, PAGE_BYTES)) : bytes);
}

/** Uses a damaged outbox that could be opened, and closes it. Returns what it threw. */
export async function faultsOf(outbox: Outbox): Promise<unknown[]> {
  const { signal } = new AbortController();
  const uses: (() => unknown)[] = [
    () =>
      outbox.add({
        line: "later",
        stamp: {
          entityId: "sensor.e0",
          known: { state: "1", lastUpdatedUs: 1, lastChangedUs: 1 },
        },
        firedUs: 1,
      }),
    () => outbox.flush(),
    () => outbox.openGap(),
    () => outbox.append([], () => outbox.chain.gone(outbox.chain.goneSince(new Set()))),
    () => outbox.append([], () => outbox.chain.compared(2)),
    () => outbox.missing.next(1_000, Infinity),
    () => outbox.missing.byGap(),
    () => outbox.waiting.aside(),
    () => {
      const done = outbox.waiting.next.peek({ maxEvents: 1_000_000, maxBytes: 1e12 }).seqs;
      outbox.settle({ done, delivered: done.length, leftOut: {}, problems: [] });
    },
    () => outbox.deadLetters.reasons(),
    () => outbox.deadLetters.replay({}, signal),
    () => outbox.deadLetters.discard({}, signal),
    () => outbox[Symbol.dispose](),
  ];
  const faults: unknown[] = [];
  for (const use of uses) {
    try {
      await use();
    } catch (error) {
      faults.push(error);
    }
  }
  return faults;
}
