/** `--loop`: the longest turns of both programs' event loops, by what was going on. */
import { sleep } from "../lib/retry.ts";
import type { Program } from "../tests/real/parts/programs.ts";
import { thousands } from "./figures.ts";
import type { ProgressLine } from "./progress_line.ts";
import { type OutboxContents, preparedOutbox, REASONS } from "./prepared_outbox.ts";
import type { LoopSizes } from "./sizes.ts";
import { IdleProgram, LOOP_PROBE, LoopTurns } from "./loop_turns.ts";
import { type PairOptions, ProgramPair } from "./program_pair.ts";
import { nowMs } from "./readable.ts";
import { Source } from "./source.ts";
import type { HouseAction } from "./source_worker.ts";
import type { StoreName } from "./store.ts";

/** The longest turns while one thing was going on, in milliseconds. */
export interface WatchedActivity {
  readonly scene: string;
  readonly activity: string;
  readonly ingest: number;
  readonly enrich: number;
  /** Of a program that does nothing: the machine's noise. */
  readonly idle: number;
  /** How often ingest was cut off then, as too slow a reader. */
  readonly cutOffs: number;
}

export interface LoopOptions {
  readonly sizes: LoopSizes;
  readonly store: StoreName;
  readonly progress: ProgressLine;
}

/** A real core on two processors has so many for one reader. */
const MOST_PER_SECOND = 20_000;
const PAGE_EVENTS_PER_SECOND = 1_000;

interface StageOptions extends Pick<PairOptions, "dataDir" | "enrichAway"> {
  readonly entities?: number;
}

const never = new AbortController().signal;

/** One pair of programs, watched at one thing after the other. */
class Scene implements AsyncDisposable {
  readonly activities: WatchedActivity[] = [];
  /** Since the last activity. */
  #cutOffs = 0;

  private constructor(
    private readonly name: string,
    private readonly options: LoopOptions,
    readonly source: Source,
    readonly pair: ProgramPair,
    private readonly idle: IdleProgram,
    private readonly kept: AsyncDisposableStack,
    /** Since when no turn has been anybody's, in milliseconds since 1970. */
    private fromMs: number,
  ) {}

  static async start(
    name: string,
    options: LoopOptions,
    { entities, ...pairOptions }: StageOptions,
  ): Promise<Scene> {
    await using resources = new AsyncDisposableStack();
    const source = resources.use(await Source.start(entities));
    const idle = resources.use(await IdleProgram.start());
    const fromMs = nowMs();
    const pair = resources.use(
      await ProgramPair.start({
        source,
        store: options.store,
        compiledDir: "",
        preload: LOOP_PROBE,
        ...pairOptions,
      }),
    );
    return new Scene(name, options, source, pair, idle, resources.move(), fromMs);
  }

  /** The turns since the last activity, or since the start, are this one's. */
  async during(activity: string, work: () => Promise<unknown> = async () => {}): Promise<void> {
    const { progress, sizes } = this.options;
    progress.say(`${this.name} · ${activity}`);
    await work();
    await this.pair.untilSettled(
      sizes.restMs,
      ({ queued }) => progress.say(`${this.name} · ${activity}: ${queued} wait`),
    );
    const toMs = nowMs();
    const longest = (dir: string, sinceMs = 0) =>
      new LoopTurns(dir).longest(Math.max(this.fromMs, sinceMs), toMs);
    const [ingest, enrich] = [this.pair.ingest, this.pair.enrich].map((program) =>
      longest(program.dir, listeningSinceMs(program))
    );
    this.activities.push({
      scene: this.name,
      activity,
      ingest: await ingest,
      enrich: await enrich,
      idle: await longest(this.idle.dir),
      cutOffs: this.#cutOffs,
    });
    this.fromMs = toMs;
    this.#cutOffs = 0;
  }

  async #fire(count: number, perSecond: number): Promise<void> {
    this.#cutOffs += (await this.source.fire({ count, perSecond })).cutOffs;
  }

  /** First as many a second as Home Assistant has for one reader, then as fast as they are taken. */
  async floods(): Promise<void> {
    const { flood: count } = this.options.sizes;
    const most = `${thousands(MOST_PER_SECOND)} events/s`;
    await this.during(most, () => this.#fire(count, MOST_PER_SECOND));
    await this.during("as fast as taken", () => this.#fire(count, 0));
  }

  /** The page of each is open, as in a browser, while 1,000 events a second are fired. */
  async pages(): Promise<void> {
    const { pageMs } = this.options.sizes;
    const count = PAGE_EVENTS_PER_SECOND * pageMs / 1000;
    const running = [this.pair.ingest, this.pair.enrich].filter((program) => program.running);
    await Promise.all([
      ...running.map(({ url }) => watchPage(url, pageMs)),
      this.#fire(count, PAGE_EVENTS_PER_SECOND),
    ]);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.kept.disposeAsync();
  }
}

/** Before it listens it loads itself, and keeps nobody waiting: that is a part of its start's time. */
function listeningSinceMs({ output }: Program): number {
  const [, time] = /^(\S+Z) .*: Listening on /m.exec(output) ?? [];
  if (time === undefined) throw new Error(`It does not say since when it listens: ${output}`);
  return Date.parse(time);
}

/** Opens a page as a browser does, and reads what it shows for so long. */
async function watchPage(url: string, ms: number): Promise<void> {
  await (await fetch(url)).text();
  const reader = (await fetch(`${url}/live`)).body?.getReader();
  const closing = sleep(ms, never).then(() => reader?.cancel());
  while (reader && !(await reader.read()).done);
  await closing;
}

/** Starts the programs, has the scene played, and returns what was seen. */
async function play(
  name: string,
  options: LoopOptions,
  stage: StageOptions & { readonly outbox?: OutboxContents },
  work: (scene: Scene) => Promise<void>,
): Promise<readonly WatchedActivity[]> {
  options.progress.say(`${name} · is prepared`);
  const { outbox, ...others } = stage;
  const dataDir = outbox && await preparedOutbox(outbox);
  await using scene = await Scene.start(name, options, { ...others, dataDir });
  await work(scene);
  return scene.activities;
}

function house(entities: number, options: LoopOptions): Promise<readonly WatchedActivity[]> {
  const name = `${thousands(entities)} entities`;
  return play(name, options, { entities }, async (scene) => {
    const act = async (action: HouseAction) => {
      scene.source.do(action);
      await sleep(options.sizes.restMs, never);
    };
    await scene.during("start");
    await scene.floods();
    await scene.during("pages open", () => scene.pages());
    await scene.during("registries read again", () => act("rename an area"));
    await scene.during("connected again: get_states", () => act("cut the connections"));
  });
}

function backlog(options: LoopOptions): Promise<readonly WatchedActivity[]> {
  const { waiting } = options.sizes;
  const stage = { outbox: { waiting }, enrichAway: true };
  return play(`${thousands(waiting)} events wait`, options, stage, async (scene) => {
    await scene.during("start, enrich is away");
    await scene.floods();
    await scene.during("pages open", () => scene.pages());
    await scene.during("drain", () => scene.pair.enrich.startAgain());
  });
}

function graveyard(options: LoopOptions): Promise<readonly WatchedActivity[]> {
  const { deadLetters } = options.sizes;
  const name = `${thousands(deadLetters)} dead letters`;
  return play(name, options, { outbox: { deadLetters } }, async (scene) => {
    const ask = async (path: string, body?: object) => {
      const headers = { "content-type": "application/json" };
      const request = body && { method: "POST", headers, body: JSON.stringify(body) };
      const response = await fetch(`${scene.pair.ingest.url}${path}`, request);
      const text = await response.text();
      if (!response.ok) throw new Error(`${path}: ${response.status} ${text}`);
    };
    await scene.during("start");
    await scene.during("pages open", () => scene.pages());
    await scene.during("GET /status", () => ask("/status"));
    await scene.during("listed", () => ask("/dead-letters"));
    await scene.during("half replayed", () => ask("/dead-letters/replay", { reason: REASONS[0] }));
    await scene.during("half discarded", () => ask("/dead-letters/discard", { all: true }));
  });
}

/** Plays all scenes, one after the other. */
export async function longestTurns(options: LoopOptions): Promise<readonly WatchedActivity[]> {
  const { entities, manyEntities } = options.sizes;
  return [
    ...await house(entities, options),
    ...await house(manyEntities, options),
    ...await backlog(options),
    ...await graveyard(options),
  ];
}
