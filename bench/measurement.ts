/** One run of one contestant: load after load, and what each showed. */
import { sleep } from "../lib/retry.ts";
import { until } from "../tests/until.ts";
import { type Contestant, type Outbox, untilReceived, usages } from "./contestant.ts";
import { type Figures, quantile } from "./figures.ts";
import type { Meter, Usage } from "./meter.ts";
import type { Plan } from "./plan.ts";
import { latencies, nowMs, untilReadable } from "./readable.ts";
import type { Source } from "./source.ts";
import type { Fired, Load } from "./source_worker.ts";
import type { Numbers } from "./store.ts";

const SAMPLE_MS = 200;
const DRAIN_MS = 3_600_000;

export interface Subject {
  readonly contestant: Contestant;
  readonly source: Source;
  readonly meter: Meter;
  /** Says what is being done. */
  readonly say: (text: string) => void;
}

type Usages = ReadonlyMap<string, Usage>;

/** What a load of which all has become readable has shown. */
interface Loaded {
  readonly fired: Fired;
  readonly lost: number;
  readonly readableMs: number;
  /** Processor seconds meanwhile, by process. */
  readonly cpu: ReadonlyMap<string, number>;
  /** The most memory at a sample, in MB, by process. */
  readonly peakMb: ReadonlyMap<string, number>;
}

const never = new AbortController().signal;

export class Measurement {
  readonly #figures = new Map<string, number>();
  #lost = 0;
  #cutOffs = 0;
  #mostPending = 0;

  constructor(private readonly subject: Subject, private readonly plan: Plan) {}

  /** Everything that the plan asks for, in an order in which nothing disturbs what comes behind it. */
  async run(): Promise<Figures> {
    const { contestant } = this.subject;
    const { afterMs, paced, ordinary, full, burst, backlog, moreFloods } = this.plan;
    this.#set("start_ms", contestant.startMs);
    for (const [i, load] of paced.entries()) {
      await this.#pacedLoad(load);
      // the first is hardly one
      if (i === 0) await this.#setMemory("rss_idle");
    }
    const usual = await this.#load(`${ordinary.perSecond} events/s`, ordinary);
    this.#setCpu("cpu_ordinary", usual);
    const flood = await this.#load("as fast as taken", { count: full, perSecond: 0 });
    const floodMs = flood.readableMs - flood.fired.firstUs / 1000;
    this.#set("per_second", (full - flood.lost) / floodMs * 1000);
    this.#setCpu("cpu_full", flood);
    this.#setParts("rss_load", flood.peakMb);
    if (moreFloods > 0) await this.#floods(flood.peakMb);
    const rush = await this.#load("a burst", burst);
    this.#set("burst_ms", rush.readableMs - rush.fired.lastUs / 1000);
    await this.#rest("after the load", afterMs);
    await this.#setMemory("rss_after");
    if (backlog > 0 && contestant.outbox) await this.#backlog(contestant.outbox, backlog);
    this.#set("lost", this.#lost);
    this.#set("cut_offs", this.#cutOffs);
    this.#set("most_pending", this.#mostPending);
    return this.#figures;
  }

  #set(key: string, value: number): void {
    this.#figures.set(key, value);
  }

  /** The sum over the processes, and each where there are several. */
  #setParts(key: string, parts: ReadonlyMap<string, number>): void {
    this.#set(key, [...parts.values()].reduce((sum, part) => sum + part, 0));
    if (parts.size > 1) { for (const [name, part] of parts) this.#set(`${key}_${name}`, part); }
  }

  #setCpu(key: string, { cpu, fired }: Loaded): void {
    const perThousand = [...cpu].map(([name, seconds]): [string, number] => [
      name,
      seconds / fired.count * 1000,
    ]);
    this.#setParts(key, new Map(perThousand));
  }

  async #setMemory(key: string): Promise<void> {
    this.#setParts(key, memoryOf(await this.#usages()));
  }

  #usages(): Promise<Usages> {
    return usages(this.subject.contestant, this.subject.meter);
  }

  async #rest(name: string, ms: number): Promise<void> {
    this.subject.say(name);
    await sleep(ms, never);
  }

  /** Fires, and waits until all can be read. */
  async #load(name: string, load: Load): Promise<Loaded> {
    const { source, contestant: { store }, say } = this.subject;
    const progress = (what: string) => (count: number) =>
      say(`${name}: ${count} of ${load.count} ${what}`);
    progress("fired")(0);
    const before = await this.#usages();
    const peakMb = new Map<string, number>();
    const ended = new AbortController();
    const sampling = this.#sample(peakMb, ended.signal);
    // it is awaited below, and until then its failure is nobody's
    sampling.catch(() => {});
    try {
      const fired = this.#note(await source.fire(load, progress("fired")));
      const { atMs, lost } = await untilReadable(
        store,
        numbersOf(fired),
        fired.lastUs,
        progress("readable"),
      );
      this.#lost += lost;
      const after = await this.#usages();
      const cpu = new Map([...after].map(([part, { cpuSeconds }]) => [
        part,
        cpuSeconds - (before.get(part)?.cpuSeconds ?? 0),
      ]));
      return { fired, lost, readableMs: atMs, cpu, peakMb };
    } finally {
      ended.abort();
      await sampling;
    }
  }

  async #sample(peakMb: Map<string, number>, signal: AbortSignal): Promise<void> {
    while (!signal.aborted) {
      for (const [part, rssMb] of memoryOf(await this.#usages())) {
        peakMb.set(part, Math.max(rssMb, peakMb.get(part) ?? 0));
      }
      await sleep(SAMPLE_MS, signal);
    }
  }

  #note(fired: Fired): Fired {
    this.#cutOffs += fired.cutOffs;
    this.#mostPending = Math.max(this.#mostPending, fired.mostPending);
    return fired;
  }

  async #pacedLoad({ name, ...load }: Plan["paced"][number]): Promise<void> {
    const { source, contestant: { store }, say } = this.subject;
    say(`${name}: until ${load.count} events are readable`);
    const numbers = { first: source.next, count: load.count, fromUs: nowMs() * 1000 - 1e6 };
    const [found, fired] = await Promise.all([latencies(store, numbers), source.fire(load)]);
    this.#note(fired);
    this.#lost += load.count - found.length;
    this.#set(`latency_p50 ${name}`, quantile(found, 0.5));
    this.#set(`latency_p99 ${name}`, quantile(found, 0.99));
    this.#set(`latency_max ${name}`, quantile(found, 1));
  }

  /** Whether the memory of the last flood is more than that of the first. */
  async #floods(first: ReadonlyMap<string, number>): Promise<void> {
    const { full, moreFloods, floodsApartMs } = this.plan;
    let peakMb = first;
    for (let i = 2; i <= moreFloods + 1; i++) {
      await this.#rest(`before flood ${i}`, floodsApartMs);
      ({ peakMb } = await this.#load(`flood ${i}`, { count: full, perSecond: 0 }));
    }
    this.#setParts("rss_last_flood", peakMb);
    for (const [name, mb] of peakMb) {
      this.#set(`rss_growth_${name}`, mb / (first.get(name) ?? mb));
    }
  }

  /** Lets events wait while enrich is away. */
  async #backlog(outbox: Outbox, count: number): Promise<void> {
    const { source, contestant: { store }, say } = this.subject;
    say("backlog: enrich stops");
    await outbox.hold();
    const before = (await outbox.counts()).received;
    const fired = this.#note(
      await source.fire(
        { count, perSecond: 0 },
        (n) => say(`backlog: ${n} of ${count} fired`),
      ),
    );
    await untilReceived(outbox, before + count);
    this.#set("captured_per_second", count / (nowMs() - fired.firstUs / 1000) * 1000);
    await outbox.release();
    const { queued } = await outbox.counts();
    // ingest comes back to enrich by itself, after up to 30 s
    await until(async () => (await outbox.counts()).queued < queued, "what waits is delivered");
    const startMs = nowMs();
    await until(
      async () => {
        const left = (await outbox.counts()).queued;
        say(`backlog: ${left} of ${count} wait`);
        return left === 0;
      },
      "nothing waits",
      { limitMs: DRAIN_MS, everyMs: 250 },
    );
    const numbers = numbersOf(fired);
    const { atMs, lost } = await untilReadable(store, numbers, fired.lastUs, () => {});
    this.#lost += lost;
    this.#set("drain_s", (atMs - startMs) / 1000);
    this.#set("drain_per_second", (count - lost) / (atMs - startMs) * 1000);
  }
}

function numbersOf({ first, count, firstUs }: Fired): Numbers {
  return { first, count, fromUs: firstUs };
}

function memoryOf(all: Usages): ReadonlyMap<string, number> {
  return new Map([...all].map(([part, { rssMb }]) => [part, rssMb]));
}
