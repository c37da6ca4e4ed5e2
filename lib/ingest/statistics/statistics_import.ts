/**
 * One import of long-term statistics: the hours that Home Assistant's recorder keeps forever,
 * straight to enrich. No outbox: what was not stored is asked for again. One request in flight at
 * either end, a month of one statistic at a time, and a cursor a statistic, so that a later import
 * goes on where this one was.
 */
import { MAX_BATCH_EVENTS, type RegistryNames } from "../../contract.ts";
import { getLogger } from "../../log.ts";
import { backoffMs, describeError, sleep } from "../../retry.ts";
import { isFull } from "../../sqlite.ts";
import { CommandFailed } from "../hass/connection.ts";
import { DELIVERY_TIMES, type DeliveryTimes } from "../delivery/delivery_times.ts";
import type { Outbox } from "../outbox/outbox.ts";
import type { PostEvents } from "../delivery/post_events.ts";
import { type ImportRequest, sinceMs } from "./statistics_request.ts";
import {
  type EntityAttributes,
  entityAttributesSchema,
  entityOf,
  hasValue,
  rowsOf,
  type Statistic,
  statisticsLine,
  statisticsListSchema,
  statisticsRowsSchema,
} from "./statistics_rows.ts";
import type { StatisticsTally } from "./statistics_tally.ts";

/** The months of one statistic: Home Assistant reads every hour of it for that. */
const MONTHS_DEADLINE_MS = 120_000;
/** How often a command that Home Assistant answers with an error is tried: while it starts, it may. */
const COMMAND_ATTEMPTS = 5;
/** The longest that a Retry-After is obeyed. */
const MAX_RETRY_AFTER_MS = 600_000;

const log = getLogger("ingest", "statistics");

/** A connection to Home Assistant, as far as statistics need one. */
export interface HassCommands {
  command(
    type: string,
    parameters?: Readonly<Record<string, unknown>>,
    deadlineMs?: number,
  ): Promise<unknown>;
}

export interface StatisticsOptions {
  /** The present connection, or undefined while there is none. */
  readonly commands: () => HassCommands | undefined;
  /** What the registries say of an entity. */
  readonly names: (entityId: string) => RegistryNames | undefined;
  readonly post: PostEvents;
  /** Keeps the cursors. */
  readonly outbox: Pick<Outbox, "meta" | "setMeta">;
  readonly source?: string;
  readonly times?: Pick<DeliveryTimes, "patientDeadlineMs" | "backoffBaseMs" | "backoffMaxMs">;
  /** The present, in milliseconds since 1970: hours that have not ended are read again later. */
  readonly nowMs?: () => number;
}

export class StatisticsImport {
  readonly #options: StatisticsOptions;
  readonly #tally: StatisticsTally;
  readonly #signal: AbortSignal;
  #failures = 0;
  /** How many hours the next request to enrich may have. */
  #limit = MAX_BATCH_EVENTS;

  constructor(options: StatisticsOptions, tally: StatisticsTally, signal: AbortSignal) {
    this.#options = options;
    this.#tally = tally;
    this.#signal = signal;
  }

  /** Imports. Throws where Home Assistant has no statistics, or the signal is aborted. */
  async run({ since, entities }: ImportRequest): Promise<void> {
    const wanted = globOf(entities ?? "*");
    const list = statisticsListSchema.parse(await this.#ask("recorder/list_statistic_ids"))
      .filter(({ statistic_id }) => wanted.test(statistic_id));
    this.#tally.found(list.length);
    log.info("Importing {statistics} statistics", { statistics: list.length });
    const states = entityAttributesSchema.parse(await this.#ask("get_states"));
    const attributes = new Map(states.map((state) => [state.entity_id, state.attributes]));
    const fromMs = since === undefined ? undefined : sinceMs(since);
    for (const statistic of list) {
      const { statistic_id: id } = statistic;
      try {
        await this.#importOne(statistic, fromMs, attributes.get(id));
      } catch (error) {
        if (!(error instanceof CommandFailed)) throw error;
        const reason = error.message;
        this.#tally.failed(`${id} cannot be read: ${reason}`);
        log.warn("Cannot read the statistic {id}: {reason}", { id, reason });
      }
      this.#tally.finishedOne();
    }
  }

  /** Month by month, those alone that have hours. The cursor follows what enrich has answered for. */
  async #importOne(
    statistic: Statistic,
    fromMs: number | undefined,
    attributes: EntityAttributes | undefined,
  ): Promise<void> {
    const { source, names, nowMs = Date.now } = this.#options;
    const key = `statistics ${statistic.statistic_id}`;
    let cursorMs = Number(this.#options.outbox.meta(key) ?? 0);
    const startMs = fromMs ?? cursorMs;
    // an import that begins behind the cursor leaves hours out, and must not move it
    const joins = startMs <= cursorMs;
    const months = await this.#rows(statistic, { period: "month", startMs });
    for (const [index, { start, end: endMs }] of months.entries()) {
      const page = { period: "hour", startMs: Math.max(start, startMs), endMs } as const;
      const rows = await this.#rows(statistic, page);
      const entityId = entityOf(statistic);
      const registry = entityId === undefined ? undefined : names(entityId);
      await this.#post(
        rows.filter(hasValue).map((row) =>
          statisticsLine(statistic, row, { registry, attributes, source })
        ),
      );
      const ends = rows.map(({ end }) => end).filter((end) => end <= nowMs());
      const reachedMs = Math.max(cursorMs, ...ends);
      if (joins && reachedMs > cursorMs) this.#keep(key, cursorMs = reachedMs);
      this.#tally.reached((index + 1) / months.length);
    }
  }

  async #rows(statistic: Statistic, span: Parameters<typeof rowsOf>[1]) {
    const deadlineMs = span.period === "month" ? MONTHS_DEADLINE_MS : undefined;
    const type = "recorder/statistics_during_period";
    const answer = await this.#ask(type, rowsOf(statistic, span), deadlineMs);
    return statisticsRowsSchema.parse(answer)[statistic.statistic_id] ?? [];
  }

  /** Without room for its cursor an import goes on; a later one repeats some of it. */
  #keep(key: string, cursorMs: number): void {
    try {
      this.#options.outbox.setMeta(key, String(cursorMs));
    } catch (error) {
      if (!isFull(error)) throw error;
    }
  }

  /**
   * Asks Home Assistant, for as long as it takes to get an answer.
   * Throws CommandFailed where it answers with an error again and again.
   */
  async #ask(
    type: string,
    parameters: Readonly<Record<string, unknown>> = {},
    deadlineMs?: number,
  ): Promise<unknown> {
    for (let attempt = 1;;) {
      this.#signal.throwIfAborted();
      try {
        const commands = this.#options.commands();
        if (!commands) throw new Error("Home Assistant is not connected");
        const answer = await commands.command(type, parameters, deadlineMs);
        this.#goesOn();
        return answer;
      } catch (error) {
        if (error instanceof CommandFailed && attempt++ >= COMMAND_ATTEMPTS) throw error;
        await this.#pause(describeError(error));
      }
    }
  }

  /** Posts until enrich has answered for every line. */
  async #post(lines: readonly string[]): Promise<void> {
    const { post, times = DELIVERY_TIMES } = this.#options;
    for (let left = lines; left.length > 0;) {
      const batch = left.slice(0, this.#limit);
      const behind = left.slice(batch.length);
      const outcome = await post(batch, times.patientDeadlineMs, this.#signal);
      this.#signal.throwIfAborted();
      if (outcome.kind === "failed") {
        if (outcome.meaning === "too large" && batch.length === 1) {
          this.#refuse(`enrich ${outcome.reason}`);
          left = behind;
          continue;
        }
        if (outcome.meaning !== "misconfigured") this.#halve(batch.length);
        await this.#pause(`enrich ${outcome.reason}`, outcome.retryAfterMs);
        continue;
      }
      const { stored, skipped, problems, pending } = outcome.answer;
      this.#tally.answered(stored, Object.values(skipped).reduce((sum, n) => sum + n, 0));
      for (const { reason } of problems) this.#refuse(reason);
      left = [...batch.filter((_, index) => pending.includes(index)), ...behind];
      if (pending.length < batch.length) {
        this.#limit = Math.min(MAX_BATCH_EVENTS, this.#limit * 2);
        this.#goesOn();
      } else {
        this.#halve(batch.length);
        await this.#pause("the store is too slow");
      }
    }
  }

  #halve(sent: number): void {
    this.#limit = Math.max(1, Math.floor(sent / 2));
  }

  #refuse(reason: string): void {
    this.#tally.refused(reason);
    log.warn("An hour of statistics cannot be stored: {reason}", { reason });
  }

  async #pause(reason: string, retryAfterMs = 0): Promise<void> {
    if (this.#tally.waits(reason)) log.warn("The import of statistics waits: {reason}", { reason });
    const { backoffBaseMs: baseMs, backoffMaxMs: maxMs } = this.#options.times ?? DELIVERY_TIMES;
    const pauseMs = Math.max(baseMs / 2, backoffMs(this.#failures++, { baseMs, maxMs }));
    await sleep(Math.max(pauseMs, Math.min(retryAfterMs, MAX_RETRY_AFTER_MS)), this.#signal);
    this.#signal.throwIfAborted();
  }

  #goesOn(): void {
    this.#failures = 0;
    this.#tally.goesOn();
  }
}

/** `*` stands for any characters, `?` for one. */
function globOf(glob: string): RegExp {
  const pattern = glob.replace(/[.+^${}()|[\]\\]/g, "\\$&").replaceAll("*", ".*")
    .replaceAll("?", ".");
  return new RegExp(`^${pattern}$`, "s");
}
