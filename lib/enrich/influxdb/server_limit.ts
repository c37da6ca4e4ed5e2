/** Limits of InfluxDB's own, of which its answers tell: what they are called, and what raises them. */
import type { StoreLimit } from "../store.ts";
import type { Answer } from "./influxdb_answer.ts";

const SERIES_WISH = (setting: string) =>
  `raise ${setting} in the section [data] of influxdb.conf, 0 for none, and restart InfluxDB; or ` +
  "delete series that nobody needs (DROP SERIES)";

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
    says: /would exceed .*limit of \d+ databases/,
    name: "databases",
    wish: "delete a database that nobody needs, or let InfluxDB have more of them",
  },
  {
    says: /would exceed .*limit of \d+ tables/,
    name: "tables",
    wish: "delete tables that nobody needs, or let InfluxDB have more of them",
  },
  {
    says: /would exceed .*limit of \d+ columns/,
    name: "columns",
    wish: "store fewer attributes (ATTRIBUTES, or CONFIG_FILE), or let InfluxDB have more columns",
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
 * well, and does not count them.
 */
export function limitIn(
  { reason }: Pick<Answer, "reason">,
): { readonly limit: StoreLimit; readonly dropped: number | undefined } | undefined {
  // in quotes there may be anything that a user has written
  const [said = ""] = reason.split(/ '|"/);
  const found = LIMITS.find(({ says }) => says.test(said));
  if (!found) return undefined;
  const dropped = / dropped=(\d+)/.exec(reason)?.[1];
  return {
    limit: {
      name: found.name,
      reason: reason.replace(/^.*partial write: /, "").replace(/ dropped=\d+.*$/, ""),
      wish: found.wish,
    },
    dropped: dropped === undefined ? undefined : Number(dropped),
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
