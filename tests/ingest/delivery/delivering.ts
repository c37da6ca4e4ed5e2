/** A delivery of an outbox to an enrich whose answers a test decides. */
import assert from "node:assert/strict";
import { Delivery } from "../../../lib/ingest/delivery/delivery.ts";
import type { DeliveryTimes } from "../../../lib/ingest/delivery/delivery_times.ts";
import { postEventsTo } from "../../../lib/ingest/delivery/post_events.ts";
import { Outbox } from "../../../lib/ingest/outbox/outbox.ts";
import { allStored, type Answering, FakeEnrich } from "../../stand_ins/fake_enrich.ts";
import { TemporaryFolder } from "../../temporary.ts";
import { until } from "../../until.ts";

export const TIMES: DeliveryTimes = {
  gatherMs: 0,
  quickDeadlineMs: 2_000,
  quickPausesMs: [1, 1],
  patientDeadlineMs: 20_000,
  backoffBaseMs: 2,
  backoffMaxMs: 4,
  limitedMinMs: 20,
  limitedMaxMs: 80,
};

export interface Setup {
  readonly outbox: Outbox;
  readonly delivery: Delivery;
  readonly enrich: FakeEnrich;
}

/** Runs a delivery of `n` lines against an enrich that answers so, for as long as the test does. */
export async function delivering(
  n: number,
  answering: Answering,
  test: (setup: Setup) => Promise<void>,
  { times = TIMES, token, path, begin = () => {} }: {
    times?: DeliveryTimes;
    token?: string;
    path?: string;
    /** What happens once the lines are in the outbox. */
    begin?: () => void;
  } = {},
): Promise<void> {
  using folder = new TemporaryFolder();
  await using enrich = new FakeEnrich(answering);
  using outbox = new Outbox({
    path: path ?? folder.file("outbox.sqlite"),
    maxBytes: 50_000_000,
    onFailure: assert.ifError,
  });
  outbox.append(linesOf(n));
  begin();
  const post = postEventsTo(enrich.url, token === undefined ? undefined : () => token);
  const delivery = new Delivery({ outbox, post, times });
  const stop = new AbortController();
  const running = delivery.run(stop.signal);
  try {
    await test({ outbox, delivery, enrich });
  } finally {
    stop.abort();
    await running;
  }
  const { received, delivered, leftOut, deadLetters, waiting } = outbox.counters();
  const leftOutCount = [...leftOut.values()].reduce((a, b) => a + b, 0);
  assert.equal(received, delivered + leftOutCount + deadLetters + waiting);
}

/** So many lines, from that number on. */
export const linesOf = (n: number, from = 0) =>
  Array.from({ length: n }, (_, i) => `{"event":${from + i}}`);

/** The answer that all are stored but those that a limit of the store is in the way of. */
export function allButLimited(
  lines: readonly string[],
  isLimited: (line: string) => boolean,
  reason = "max-values-per-tag limit exceeded",
): Response {
  const pending = [...lines.keys()].filter((index) => isLimited(lines[index] ?? ""));
  return allStored(lines, {
    status: pending.length > 0 ? "partial" : "success",
    stored: lines.length - pending.length,
    pending,
    limited: pending.map((index) => ({ index, reason })),
  });
}

/** Resolves once nothing waits any more. */
export const empty = ({ outbox }: Setup) =>
  until(() => outbox.counters().waiting === 0, "all is delivered");
/** A refusal of the request as a whole. */
export const no = (status: number, detail = "no", headers = {}) =>
  Response.json({ detail }, { status, headers });
