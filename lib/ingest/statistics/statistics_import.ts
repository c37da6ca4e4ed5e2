/**
 * One import of long-term statistics: the hours of years that Home Assistant's recorder keeps, into
 * the outbox, where they are events like any other. A month of one statistic at a time, while there
 * is room; its hours and the statistic's cursor are committed together, so that a later import goes
 * on where this one was, however suddenly it ended.
 */
import type { RegistryNames } from "../../contract.ts";
import { globPattern } from "../../glob.ts";
import { getLogger } from "../../log.ts";
import { backoffMs, describeError, sleep } from "../../retry.ts";
import { CommandFailed } from "../hass/outstanding_commands.ts";
import type { Outbox } from "../outbox/outbox.ts";
import { StatisticIds } from "./statistic_ids.ts";
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
/** The pauses while Home Assistant is away. */
const BACKOFF = { baseMs: 1_000, maxMs: 30_000 };

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
  /** Takes the hours, and keeps the cursors. */
  readonly outbox: Pick<Outbox, "appendWithRoom" | "size" | "meta" | "setMeta">;
  /** Why what waits in the outbox is not delivered, or undefined while it is. */
  readonly undelivered: () => string | undefined;
  readonly source?: string;
  /** Injected so that tests need not wait. */
  readonly backoff?: typeof BACKOFF;
  /** The present, in milliseconds since 1970: hours that have not ended are read again later. */
  readonly nowMs?: () => number;
}

export class StatisticsImport {
  readonly #options: StatisticsOptions;
  readonly #tally: StatisticsTally;
  readonly #signal: AbortSignal;
  #failures = 0;

  constructor(options: StatisticsOptions, tally: StatisticsTally, signal: AbortSignal) {
    this.#options = options;
    this.#tally = tally;
    this.#signal = signal;
  }

  /** Imports. Throws where Home Assistant has no statistics, or the signal is aborted. */
  async run({ since, entities }: ImportRequest): Promise<void> {
    const wanted = globPattern(entities ?? "*");
    const all = statisticsListSchema.parse(await this.#ask("recorder/list_statistic_ids"));
    const list = all.filter(({ statistic_id }) => wanted.test(statistic_id));
    this.#tally.statistics = list.length;
    log.info("Importing {statistics} statistics", { statistics: list.length });
    const states = entityAttributesSchema.parse(await this.#ask("get_states"));
    const attributes = new Map(states.map((state) => [state.entity_id, state.attributes]));
    const ids = new StatisticIds(
      this.#options.outbox,
      all.map(({ statistic_id }) => statistic_id),
      await this.#ask("config/entity_registry/list"),
    );
    const fromMs = since === undefined ? undefined : sinceMs(since);
    for (const statistic of list) {
      const { statistic_id: id } = statistic;
      try {
        await this.#importOne(statistic, ids, fromMs, attributes.get(id));
      } catch (error) {
        if (!(error instanceof CommandFailed)) throw error;
        const reason = error.message;
        this.#tally.failed(`${id} cannot be read: ${reason}`);
        log.warn("Cannot read the statistic {id}: {reason}", { id, reason });
      }
      this.#tally.part = 0;
      this.#tally.done++;
    }
  }

  /** Month by month, those alone that have hours. The cursor is the end of the last hour that was whole. */
  async #importOne(
    statistic: Statistic,
    ids: StatisticIds,
    fromMs: number | undefined,
    attributes: EntityAttributes | undefined,
  ): Promise<void> {
    const { outbox, source, names, nowMs = Date.now } = this.#options;
    const { statistic_id: id } = statistic;
    const storedId = ids.storedId(id);
    const key = `statistics ${storedId}`;
    let cursorMs = Number(outbox.meta(key) ?? 0);
    const startMs = fromMs ?? cursorMs;
    // an import that begins behind the cursor leaves hours out, and must not move it
    const joins = startMs <= cursorMs;
    const months = await this.#rows(statistic, { period: "month", startMs });
    for (const [index, { start, end: endMs }] of months.entries()) {
      const page = { period: "hour", startMs: Math.max(start, startMs), endMs } as const;
      // an hour that ends while this waits was not whole when it was read
      const askedMs = nowMs();
      const rows = await this.#rows(statistic, page);
      const entityId = entityOf(statistic);
      const registry = entityId === undefined ? undefined : names(entityId);
      const lines = rows.filter(hasValue).map((row) =>
        statisticsLine(statistic, row, { storedId, registry, attributes, source })
      );
      const ends = rows.map(({ end }) => end).filter((end) => end <= askedMs);
      const reachedMs = joins ? Math.max(cursorMs, ...ends) : cursorMs;
      if (lines.length > 0 || reachedMs > cursorMs) {
        await this.#spool(lines, () => {
          outbox.setMeta(key, String(reachedMs));
          ids.note(id);
        });
      }
      cursorMs = reachedMs;
      this.#tally.part = (index + 1) / months.length;
    }
    // 0.1.0 has imported it
    if (cursorMs > 0 && !ids.isNoted(id)) await this.#spool([], () => ids.note(id));
  }

  async #rows(statistic: Statistic, span: Parameters<typeof rowsOf>[1]) {
    const deadlineMs = span.period === "month" ? MONTHS_DEADLINE_MS : undefined;
    const type = "recorder/statistics_during_period";
    const answer = await this.#ask(type, rowsOf(statistic, span), deadlineMs);
    return statisticsRowsSchema.parse(answer)[statistic.statistic_id] ?? [];
  }

  /**
   * Commits hours together with what `keepCursor` writes, once there is room for them.
   * Throws where the signal is aborted, or SQLite fails.
   */
  async #spool(lines: readonly string[], keepCursor: () => void): Promise<void> {
    const { outbox, undelivered } = this.#options;
    this.#tally.waits(() => {
      const what = outbox.size.full ? "the outbox is full" : "events wait in the outbox";
      const why = undelivered();
      return why === undefined ? what : `${what}: ${why}`;
    });
    await outbox.appendWithRoom(() => ({ lines, also: keepCursor }), this.#signal);
    this.#signal.throwIfAborted();
    this.#tally.rows += lines.length;
    this.#goesOn();
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

  async #pause(reason: string): Promise<void> {
    if (this.#tally.waits(() => reason)) {
      log.warn("The import of statistics waits: {reason}", { reason });
    }
    const { backoff = BACKOFF } = this.#options;
    const pauseMs = Math.max(backoff.baseMs / 2, backoffMs(this.#failures++, backoff));
    await sleep(pauseMs, this.#signal);
    this.#signal.throwIfAborted();
  }

  #goesOn(): void {
    this.#failures = 0;
    this.#tally.goesOn();
  }
}
