/**
 * A program for tests: works an outbox in the folder that its first argument names, at random by the
 * seed that is its second, and says what each step promises or begins, a line of JSON each.
 */
import { join } from "node:path";
import { openOutbox } from "../../../lib/ingest/outbox/open_outbox.ts";
import type { Outbox } from "../../../lib/ingest/outbox/outbox.ts";
import { seededRandom } from "./seeded_random.ts";
import { rowsOf } from "../../ingest/outbox/rows.ts";

/** What an outbox has promised, or is about to do. */
export type Mark =
  /** All events up to this number are captured. */
  | { readonly acked: number }
  /** From now on these may be gone. */
  | { readonly leaving: readonly number[] }
  /** These are dead letters. */
  | { readonly buried: readonly number[] }
  /** These may wait again. */
  | { readonly raised: readonly number[] };

const STEPS = 150;
const BIG_CHARS = 60_000;

function say(mark: Mark): void {
  Deno.stdout.writeSync(new TextEncoder().encode(`${JSON.stringify(mark)}\n`));
}

class Work {
  readonly #random: () => number;
  readonly #dead = new Set<number>();
  #events = 0;

  constructor(seed: number) {
    this.#random = seededRandom(seed);
  }

  #below(n: number): number {
    return Math.floor(this.#random() * n);
  }

  async do(outbox: Outbox, steps: number): Promise<void> {
    for (let step = 0; step < steps; step++) {
      this.#append(outbox);
      if (this.#random() < 0.6) this.#settle(outbox);
      if (this.#random() < 0.05) await this.#moveDeadLetters(outbox);
    }
  }

  #append(outbox: Outbox): void {
    const n = 1 + this.#below(6);
    for (let i = 0; i < n; i++) {
      const chars = this.#random() < 0.2 ? this.#below(BIG_CHARS) : this.#below(300);
      outbox.add({ line: JSON.stringify({ id: this.#events++, text: "x".repeat(chars) }) });
    }
    outbox.flush();
    say({ acked: this.#events - 1 });
  }

  #settle(outbox: Outbox): void {
    const rows = rowsOf(
      outbox.waiting.next.peek({ maxEvents: 1 + this.#below(12), maxBytes: 4_000_000 }),
    )
      .map(({ seq, line }) => ({ seq, id: Number(JSON.parse(line).id) }));
    const isProblem = this.#random() < 0.3 ? () => this.#random() < 0.3 : () => false;
    const { problems = [], done = [] } = Object.groupBy(
      rows,
      () => isProblem() ? "problems" : "done",
    );
    say({ leaving: done.map(({ id }) => id) });
    const buried = outbox.settle({
      done: done.map(({ seq }) => seq),
      delivered: done.length,
      leftOut: {},
      problems: problems.map(({ seq }) => ({ seq, reason: "for the test" })),
    });
    if (buried?.length !== problems.length) throw new Error("The outbox is full");
    const ids = problems.map(({ id }) => id);
    if (ids.length > 0) say({ buried: ids });
    for (const id of ids) this.#dead.add(id);
  }

  async #moveDeadLetters(outbox: Outbox): Promise<void> {
    const { signal } = new AbortController();
    const ids = [...this.#dead];
    this.#dead.clear();
    if (this.#random() < 0.7) {
      say({ raised: ids });
      await outbox.deadLetters.replay({}, signal);
    } else {
      say({ leaving: ids });
      await outbox.deadLetters.discard({}, signal);
    }
  }
}

function open(folder: string): Outbox {
  const { outbox, setAside } = openOutbox({
    path: join(folder, "outbox.sqlite"),
    maxBytes: 50_000_000,
    onFailure: (error) => {
      throw error;
    },
  });
  if (setAside) throw new Error("The outbox was damaged");
  return outbox;
}

if (import.meta.main) {
  const [folder = "", seed = "0"] = Deno.args;
  const work = new Work(Number(seed));
  {
    using outbox = open(folder);
    await work.do(outbox, STEPS);
  }
  await work.do(open(folder), STEPS / 10);
  // as a crash does: the log stays
  Deno.exit(0);
}
