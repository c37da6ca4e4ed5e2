/** Long-term statistics, as `recorder/*_statistics*` of three real releases tell and take them. */
import { formatTimeUs, parseTimeUs } from "../../lib/time.ts";
import type { Version } from "./clock.ts";
import { float } from "./exact_json.ts";
import type { HassState, StateMachine } from "./states.ts";

export const STATISTICS_TYPES = ["mean", "min", "max", "state", "sum"] as const;
type StatisticsType = typeof STATISTICS_TYPES[number];

export interface StatisticsMetadata {
  readonly statistic_id: string;
  readonly source: string;
  readonly name: string | null;
  readonly unit_of_measurement: string | null;
  readonly has_mean: boolean;
  readonly has_sum: boolean;
}

/** What an hour holds, in the unit of the metadata. */
export type StatisticsValues = Readonly<Partial<Record<StatisticsType, number>>>;

/** What is asked for; times in milliseconds since 1970. */
export interface StatisticsQuery {
  readonly startMs: number;
  readonly endMs: number;
  readonly statisticIds: readonly string[];
  readonly period: "hour" | "month";
  readonly types: readonly string[];
  /** Class of units → the unit that is wanted. */
  readonly units: Readonly<Record<string, unknown>>;
}

interface Table {
  readonly metadata: StatisticsMetadata;
  /** Start of the hour in milliseconds → what it holds. */
  readonly hours: Map<number, StatisticsValues>;
}

interface Period {
  readonly start: number;
  readonly end: number;
  readonly values: StatisticsValues;
}

/** Every core of 2026 lists it: a sensor of the integration `backup`, without rows. */
const BACKUP_SIZE: StatisticsMetadata = {
  statistic_id: "sensor.backup_last_successful_automatic_backup_size",
  source: "recorder",
  name: null,
  unit_of_measurement: "MiB",
  has_mean: true,
  has_sum: false,
};

const HOUR_MS = 3_600_000;

/** Units that can be made of each other: class, and how much of the class's first one it is. */
const UNITS: Readonly<Record<string, readonly [unitClass: string, factor: number]>> = {
  "°C": ["temperature", 1],
  "°F": ["temperature", 1],
  W: ["power", 1],
  kW: ["power", 1000],
  Wh: ["energy", 1],
  kWh: ["energy", 1000],
  "%": ["unitless", 1],
  MiB: ["information", 1],
};

export class StatisticsTables {
  readonly #version: Version;
  readonly #states: StateMachine;
  readonly #tables = new Map<string, Table>();

  constructor(version: Version, states: StateMachine) {
    this.#version = version;
    this.#states = states;
  }

  /** Takes hours; those that were there are replaced. `start` in milliseconds since 1970. */
  import(
    metadata: StatisticsMetadata,
    hours: Iterable<readonly [startMs: number, values: StatisticsValues]>,
  ): void {
    const before = this.#tables.get(metadata.statistic_id)?.hours;
    this.#tables.set(metadata.statistic_id, {
      metadata,
      hours: new Map([...before ?? [], ...hours]),
    });
  }

  /** An entity has another id now: all its hours have it, too. */
  rename(from: string, to: string): void {
    const table = this.#tables.get(from);
    if (table === undefined || this.#tables.has(to)) return;
    this.#tables.delete(from);
    this.#tables.set(to, { ...table, metadata: { ...table.metadata, statistic_id: to } });
  }

  /** The JSON text of `recorder/list_statistic_ids`: what has hours, and what will have some. */
  list(): string {
    const coming = this.#states.all().flatMap((state) =>
      this.#tables.has(state.entityId) ? [] : metadataOf(state)
    );
    const known = [...this.#tables.values()].map(({ metadata }) => metadata);
    const backup = this.#version === "2026.11.0" ? [BACKUP_SIZE] : [];
    return JSON.stringify([...coming, ...known, ...backup].map((metadata) => {
      const { statistic_id, has_mean, has_sum, name, source, unit_of_measurement } = metadata;
      return {
        statistic_id,
        display_unit_of_measurement: this.#displayUnit(metadata),
        has_mean,
        ...(this.#version === "2024.3.3" ? {} : { mean_type: has_mean ? 1 : 0 }),
        has_sum,
        name,
        source,
        statistics_unit_of_measurement: unit_of_measurement,
        unit_class: unitClass(unit_of_measurement),
      };
    }));
  }

  /** The JSON text of `recorder/statistics_during_period`. Statistics without a row are left out. */
  during(query: StatisticsQuery): string {
    const tables = query.statisticIds.flatMap((id) => this.#tables.get(id) ?? []);
    // a column is told where one of the statistics can have it
    const types = STATISTICS_TYPES.filter((type) =>
      query.types.includes(type) &&
      tables.some(({ metadata: { has_mean, has_sum } }) =>
        type === "sum" || type === "state" ? has_sum : has_mean
      )
    );
    const members = tables.flatMap((table) => {
      const { metadata } = table;
      const { unit_of_measurement: unit, statistic_id } = metadata;
      const wanted = query.units[unitClass(unit) ?? ""] ?? this.#displayUnit(metadata);
      const rows = periodsOf(table, query).map(({ start, end, values }) =>
        JSON.stringify({
          start,
          end,
          ...Object.fromEntries(types.map((type) => {
            const value = values[type];
            return [type, value === undefined ? null : float(convert(value, unit, String(wanted)))];
          })),
        })
      );
      return rows.length === 0 ? [] : `${JSON.stringify(statistic_id)}:[${rows.join(",")}]`;
    });
    return `{${members.join(",")}}`;
  }

  /** The unit that the entity has now, where the values can be converted to it. */
  #displayUnit({ statistic_id, unit_of_measurement: unit }: StatisticsMetadata): string | null {
    const state = this.#states.get(statistic_id);
    const shown = state && JSON.parse(state.attributes).unit_of_measurement;
    return typeof shown === "string" && unitClass(shown) === unitClass(unit) ? shown : unit;
  }
}

/** A sensor with a state_class has hours sooner or later. */
function metadataOf({ entityId, attributes }: HassState): StatisticsMetadata[] {
  const { state_class, unit_of_measurement = null } = JSON.parse(attributes);
  if (state_class === undefined) return [];
  const has_mean = state_class === "measurement";
  return [{
    statistic_id: entityId,
    source: "recorder",
    name: null,
    unit_of_measurement,
    has_mean,
    has_sum: !has_mean,
  }];
}

function periodsOf({ hours }: Table, { startMs, endMs, period }: StatisticsQuery): Period[] {
  const from = period === "hour" ? startMs : monthStart(startMs);
  const rows = [...hours].filter(([start]) => start >= from && start < endMs)
    .sort(([a], [b]) => a - b);
  if (period === "hour") {
    return rows.map(([start, values]) => ({ start, end: start + HOUR_MS, values }));
  }
  const months = Map.groupBy(rows, ([start]) => monthStart(start));
  return [...months].map(([start, inMonth]) => ({
    start,
    end: monthStart(start + 31 * 24 * HOUR_MS),
    values: summary(inMonth.map(([, values]) => values)),
  }));
}

function summary(hours: readonly StatisticsValues[]): StatisticsValues {
  const all = (type: StatisticsType) => hours.flatMap((values) => values[type] ?? []);
  const of = (type: StatisticsType, make: (numbers: readonly number[]) => number | undefined) => {
    const numbers = all(type);
    return numbers.length === 0 ? {} : { [type]: make(numbers) };
  };
  return {
    ...of("mean", (means) => means.reduce((sum, mean) => sum + mean, 0) / means.length),
    ...of("min", (minima) => Math.min(...minima)),
    ...of("max", (maxima) => Math.max(...maxima)),
    ...of("state", (states) => states.at(-1)),
    ...of("sum", (sums) => sums.at(-1)),
  };
}

/** The simulated house is in UTC. */
function monthStart(ms: number): number {
  return Number(parseTimeUs(`${formatTimeUs(ms * 1000).slice(0, 7)}-01T00:00:00Z`)) / 1000;
}

function unitClass(unit: string | null): string | null {
  return unit === null ? "unitless" : UNITS[unit]?.[0] ?? null;
}

function convert(value: number, from: string | null, to: string): number {
  const [source, target] = [UNITS[from ?? ""], UNITS[to]];
  if (from === to || !source || !target) return value;
  if (from === "°C") return value * 1.8 + 32;
  if (from === "°F") return (value - 32) / 1.8;
  return value * source[1] / target[1];
}
