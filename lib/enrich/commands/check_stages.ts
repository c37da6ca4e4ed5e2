/** What `enrich check` proves of a server one after the other, and how far it came. */
import type { InfluxDbOptions } from "../influxdb/influxdb.ts";
import { type InfluxDbFault, saysInactive, saysNoPlace } from "../influxdb/influxdb_answer.ts";

/** What is proven one after the other by a write of nothing. */
export function stagesOf(
  options: InfluxDbOptions,
  server: string,
): readonly { check: string; text: string }[] {
  const { url, version, username, token } = options;
  const user = username?.();
  const known = version !== 1
    ? token ? "INFLUXDB_TOKEN is accepted" : "No token is needed"
    : user
    ? `User ${user} is accepted`
    : "No user is needed";
  const there = version === 3 ? "is there, or is made by the first write" : "exists";
  return [
    { check: "address", text: `${server} answers at ${url}` },
    { check: "credentials", text: known },
    { check: "place", text: `${placeOf(options)} ${there}` },
    { check: "write", text: "It takes points" },
  ];
}

/** The same of VictoriaMetrics, which lets everybody write unless -httpAuth.username is set, and has no databases. */
export function victoriaMetricsStages(
  { url, version, username, database }: InfluxDbOptions,
): readonly { check: string; text: string }[] {
  const user = version === 1 ? username?.() : undefined;
  return [
    { check: "address", text: `VictoriaMetrics answers at ${url}` },
    ...(user ? [{ check: "credentials", text: `User ${user} is not refused` }] : []),
    {
      check: "place",
      text: version === 1
        ? `It needs no database: ${database} is a label of each series`
        : "It needs no database",
    },
    { check: "write", text: "It takes points, and keeps their numbers" },
  ];
}

/** The same of QuestDB, which looks at no more than the address. */
export function questDbStages(
  { url }: InfluxDbOptions,
): readonly { check: string; text: string }[] {
  return [
    { check: "address", text: `QuestDB answers at ${url}` },
    { check: "write", text: "It takes points" },
  ];
}

/** Where points are to go, whether or not anything answers there. */
export function targetOf({ version, org, bucket, database }: InfluxDbOptions): string {
  return version === 2
    ? `INFLUXDB_BUCKET=${bucket}, INFLUXDB_ORG=${org}`
    : `INFLUXDB_DATABASE=${database ?? bucket}`;
}

/** The bucket or database, for the beginning of a sentence. */
export function placeOf({ version, bucket, database }: InfluxDbOptions): string {
  return version === 2 ? `Bucket ${bucket}` : `Database ${database ?? bucket}`;
}

/** So many stages hold where the place is missing. */
export const EXISTS = 2;

/** How many of the stages hold in spite of the fault: InfluxDB looks at them in that order. */
export function reached({ answer }: InfluxDbFault): number {
  if (!answer) return 0;
  if (answer.status === 401 || saysInactive(answer)) return 1;
  if (answer.status === 403) return 3;
  return saysNoPlace(answer) ? EXISTS : 0;
}
