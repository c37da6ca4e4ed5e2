/** How requests to InfluxDB go: whom to trust, and what a proxy before it asks for. */
import { dirname, resolve } from "node:path";
import { MAX_CERTIFICATES_BYTES } from "../certificates.ts";
import type { ConfigFile } from "./config_file.ts";
import { forgetFault, lastKnown } from "./last_known.ts";
import type { RequestHeaders } from "./request_headers.ts";
import { readTextFile } from "./text_file.ts";

/** The headers, where none of them is the one that the setting `authorizedBy` is sent in. */
export function headersBeside(
  authorizedBy: string | undefined,
  headers: (() => RequestHeaders) | undefined,
  problems: string[],
): (() => RequestHeaders) | undefined {
  if (!headers || !authorizedBy) return headers;
  const read = () => {
    const given = headers();
    if (!given.has("authorization")) return given;
    throw new Error(
      `INFLUXDB_HEADERS holds Authorization, in which ${authorizedBy} is sent: leave one of them out`,
    );
  };
  return tried(read, problems);
}

/** The text of the authority that CONFIG_FILE names, for that URL; throws where it cannot be read. */
export function caCertOf(
  url: string,
  file: ConfigFile | undefined,
  problems: string[],
): (() => string) | undefined {
  forgetFault("ssl_ca_cert");
  if (!file) return undefined;
  const { ssl_ca_cert: caCert, verify_ssl: verifies } = file.options;
  if (!verifies && url.startsWith("https:")) {
    problems.push(
      `${file.placeOf("verify_ssl")}: verify_ssl: false is refused, for anybody could read and ` +
        "change what is sent: leave it out, and where the certificate is of an authority of your " +
        "own name that by ssl_ca_cert: /path/to/ca.pem",
    );
  }
  if (caCert === undefined) return undefined;
  const path = resolve(dirname(file.path), caCert);
  const place = file.placeOf("ssl_ca_cert");
  const read = lastKnown("ssl_ca_cert", () => {
    try {
      return readTextFile(path, MAX_CERTIFICATES_BYTES);
    } catch (error) {
      const reason = error instanceof Error ? error.message : "";
      throw new Error(
        `${place}: ssl_ca_cert must be a file that can be read (${reason})`,
      );
    }
  });
  return tried(read, problems);
}

/** What is read again at each use is read once at the start, for its problems. */
function tried<T>(read: () => T, problems: string[]): () => T {
  try {
    read();
  } catch (error) {
    problems.push(error instanceof Error ? error.message : String(error));
  }
  return read;
}
