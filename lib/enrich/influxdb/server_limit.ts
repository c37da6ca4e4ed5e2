/** Limits of InfluxDB's own, of which its answers tell: what they are called, and what raises them. */
import type { StoreLimit } from "../store.ts";
import type { Answer } from "./influxdb_answer.ts";

const SERIES_WISH = (setting: string) =>
  `raise ${setting} in the section [data] of influxdb.conf, 0 for none, and restart InfluxDB; or ` +
  "delete series that nobody needs (DROP SERIES)";

/** The name of 1.13's FUTURE LIMIT and PAST LIMIT, which concerns times, not series. */
export const WRITE_WINDOW = "write window";

/** 1.13.2 counts what its PAST LIMIT refuses in either place, so that only the sum is to be believed. */
const WINDOW =
  /dropped (\d+) points outside retention policy of duration \S+ and (\d+) (points outside write window \([^)]*\))/;

/** The words of 1.x, of 3 (`would exceed limit of 5 databases`), and of Cloud. */
const LIMITS: readonly {
  readonly says: RegExp;
  readonly name: string;
  readonly wish: string;
}[] = [
  {
    says: /max-series-per-database (limit )?exceeded/,
    name: "max-series-per-database",
    wish: SERIES_WISH("max-series-per-database"),
  },
  {
    says: /max-values-per-tag limit exceeded/,
    name: "max-values-per-tag",
    wish: SERIES_WISH("max-values-per-tag"),
  },
  {
    says: WINDOW,
    name: WRITE_WINDOW,
    wish:
      "raise PAST LIMIT and FUTURE LIMIT of the retention policy (ALTER RETENTION POLICY), 0s " +
      "for none; where the points are ahead of time, set Home Assistant's clock or InfluxDB's",
  },
  {
    says: /would exceed .*limit of \d+ databases/,
    name: "databases",
    wish: "delete a database that nobody needs, or let InfluxDB have more of them",
  },
  {
    // until 3.8, and since
    says: /would exceed .*(?:limit of \d+ tables|number of tables limit)/,
    name: "tables",
    wish: "delete tables that nobody needs, or let InfluxDB have more of them",
  },
  {
    says: /would exceed .*(?:limit of \d+ columns|field limit|field family limit)/,
    name: "columns",
    wish: "store fewer attributes (ATTRIBUTES, or CONFIG_FILE), or let InfluxDB have more columns",
  },
  {
    says: /Detected a new tag$/,
    name: "tag set",
    wish:
      "update InfluxDB, for since 3.0.0 a table takes new tags; or write to another database, in " +
      "which each table was made with all its tags: docs/stores.md",
  },
  {
    says: /service limit reached|couldn't create columns in table/,
    name: "service limit",
    wish: "ask for a higher limit of the organization at InfluxDB Cloud",
  },
];

/**
 * The limit that the answer names, whatever its status. Of 1.x (tried with 1.6.7 and 1.13.2) with how many
 * points it has `dropped`: those of new series. Points of series that exist it may have dropped as
 * well, and does not count them. Outside the write window of 1.13 it counts all.
 */
export function limitIn(
  { reason }: Pick<Answer, "reason">,
): { readonly limit: StoreLimit; readonly dropped: number | undefined } | undefined {
  // in quotes there may be anything that a user has written
  const [said = ""] = reason.split(/ '|"/);
  const found = LIMITS.find(({ says }) => says.test(said));
  if (!found) return undefined;
  const [, older, outside, window] = WINDOW.exec(said) ?? [];
  const dropped = / dropped=(\d+)/.exec(reason)?.[1];
  const count = window ? Number(older) + Number(outside) : Number(dropped);
  return {
    limit: {
      name: found.name,
      reason: window ?? reason.replace(/^.*partial write: /, "").replace(/ dropped=\d+.*$/, ""),
      wish: found.wish,
    },
    dropped: Number.isNaN(count) ? undefined : count,
  };
}

/** The name of a limit that has none. */
export const UNKNOWN = "unknown";

/** The limit of a server that refuses everything in words that nobody knows. */
export function unknownLimit(reason: string): StoreLimit {
  return {
    name: UNKNOWN,
    reason,
    wish: "see what InfluxDB means by that; its own log may tell more",
  };
}

/** Why a point is limited, with what a person can do. */
export function describeLimit({ reason, wish }: StoreLimit): string {
  return `${reason}; ${wish}`;
}
