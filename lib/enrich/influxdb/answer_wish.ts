/** What a person can do about an answer of InfluxDB's. */
import {
  type Answer,
  blamesServer,
  HTTP_AUTH,
  saysInactive,
  saysMissing,
} from "./influxdb_answer.ts";

const TOKEN_AS_PASSWORD =
  "; this is an InfluxDB 2, which knows tokens only: set INFLUXDB_USERNAME to any name and " +
  "INFLUXDB_PASSWORD to a token that may write to the bucket, or INFLUXDB_BUCKET, INFLUXDB_ORG and INFLUXDB_TOKEN in place of INFLUXDB_DATABASE";
const NO_MAPPING =
  "; this is an InfluxDB 2 where INFLUXDB_PASSWORD, a token, may write to no bucket that is called " +
  "as INFLUXDB_DATABASE says: make that bucket, or correct INFLUXDB_DATABASE";

/** What a person can fix about an answer that holds everything up; goes behind the rest of the message. */
export function wishFor(answer: Answer, version: 1 | 2 | 3): string {
  const { status, reason, isVersion2 } = answer;
  const place = version === 2 ? "INFLUXDB_BUCKET" : "INFLUXDB_DATABASE";
  if (version === 1 && isVersion2 && [401, 403, 404].includes(status)) {
    return /no dbrp mapping found/.test(reason) ? NO_MAPPING : TOKEN_AS_PASSWORD;
  }
  if (status === 401) {
    return version !== 1 && reason === HTTP_AUTH
      ? "; set INFLUXDB_DATABASE, INFLUXDB_USERNAME and INFLUXDB_PASSWORD, as for InfluxDB 1"
      : version === 1
      ? "; check INFLUXDB_USERNAME and INFLUXDB_PASSWORD"
      : "; check INFLUXDB_TOKEN";
  }
  if (saysInactive(answer)) {
    return "; activate that token on InfluxDB's own pages, or set INFLUXDB_TOKEN to another one";
  }
  if (status === 403) {
    return version === 1
      ? "; allow INFLUXDB_USERNAME to write to INFLUXDB_DATABASE"
      : `; let INFLUXDB_TOKEN be one that may write to ${place}`;
  }
  if (saysMissing(answer)) return `; create it by "enrich check --create", or correct ${place}`;
  // of an id it does not say which
  if (reason === "organization not found") {
    return "; correct INFLUXDB_ORG: 16 hexadecimal digits are an organization's id, even where one is " +
      "called so";
  }
  if (/^organization .* not found/.test(reason)) return "; correct INFLUXDB_ORG";
  if (status < 400) return " where 204 was expected: is INFLUXDB_URL a proxy or login page?";
  if (/to an HTTPS server/.test(reason)) return "; begin INFLUXDB_URL with https://";
  if (status < 429) return "; check INFLUXDB_URL and INFLUXDB_VERSION";
  // seen of 2.7.12: a shard that it could not open, for want of space, it does not open again
  if (/shard|no space left/.test(reason)) {
    return "; see that its disk has space, then restart InfluxDB: until then it may store nothing";
  }
  return blamesServer(reason)
    ? "; see InfluxDB's own log, and restart InfluxDB where this does not end"
    : "; InfluxDB's own log tells more";
}
