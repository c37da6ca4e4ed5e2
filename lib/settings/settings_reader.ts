/** What settings are made of: kinds of values, and a reader that tells every problem at once and by name. */
import { distance } from "fastest-levenshtein";
import * as z from "zod";
import { describeError } from "../retry.ts";
import { clientTrusting, MAX_CERTIFICATES_BYTES } from "../certificates.ts";
import { type RequestHeaders, requestHeaders } from "./request_headers.ts";
import { lastKnown } from "./last_known.ts";
import { findSecret, type HeadersName, oneLine, type Secret, type SecretName } from "./secret.ts";
import { readTextFile } from "./text_file.ts";

export type Environment = Readonly<Record<string, string | undefined>>;

/** The configuration is wrong: one sentence a problem. Exit status 2. */
export class ConfigError extends Error {
  override readonly name = "ConfigError";
  constructor(readonly problems: readonly string[], readonly warnings: readonly string[] = []) {
    super(problems.join("\n"));
  }
}

export interface Configured<T> {
  readonly settings: T;
  /** Sentences about variables that look like settings but are none. */
  readonly warnings: readonly string[];
}

/** A URL of one of the schemes, without the slash at its end. */
export function urlOf(schemes: readonly string[], example: string) {
  return z.string().transform((text, context) => {
    const problem = (message: string) => {
      context.addIssue({ code: "custom", message, input: text });
      return z.NEVER;
    };
    const wish = `must begin with ${
      schemes.map((s) => `${s}//`).join(" or ")
    }, for example ${example}`;
    const url = URL.parse(text);
    if (!url && schemes.some((scheme) => text.startsWith(`${scheme}//`))) {
      return problem(
        `must name a host and a port that can be (the numbers of an address are at most 255), for example ${example}`,
      );
    }
    if (!url || !schemes.includes(url.protocol)) return problem(wish);
    if (url.username || url.password) {
      return problem("must not carry a user name or password");
    }
    if (url.search || url.hash) {
      return problem("must not carry a query or fragment");
    }
    return url.href.replace(/\/+$/, "");
  });
}

/** A whole number. */
export function numberOf(
  { min, max }: { min: number; max: number },
) {
  const wish = `must be a whole number from ${min} to ${max}`;
  return z.string().regex(/^\d+$/, wish).transform(Number)
    .refine((value) => value >= min && value <= max, wish);
}

export const port = numberOf({ min: 0, max: 65_535 });
const host = z.string().regex(
  /^[\w.:-]+$/,
  "must be a host name or an address",
);

/**
 * Where a program listens. Deno.serve 2.9.6 has no timeouts, and shows a program no connection before
 * its request: what is held that way only the network around it can limit.
 */
export function listeningHost(program: string) {
  return host.default("127.0.0.1").describe(
    `Address that ${program} listens on. A connection that sends no request is held without end: ` +
      "let only machines that you trust reach it, or a proxy with timeouts",
  );
}

/** Whether the host is this machine only. */
export function isLoopback(host: string): boolean {
  return host === "localhost" || host === "::1" ||
    /^127\.\d+\.\d+\.\d+$/.test(host);
}

/** Where a program that listens there is reached from this machine. */
export function reachableUrl(host: string, port: number): string {
  // an address that stands for all of this machine's is none to connect to
  const reached = { "0.0.0.0": "127.0.0.1", "::": "::1", localhost: "127.0.0.1" }[host] ?? host;
  return `http://${reached.includes(":") ? `[${reached}]` : reached}:${port}`;
}

/** Prefixes that are ours: whatever else begins so is taken for a slip of the pen. */
const OUR_PREFIX = /^(HASS|INGEST|ENRICH|ENRICHMENT|OUTBOX|INFLUXDB|LOCAL_STORE)_/;

function warningsOf(env: Environment, known: readonly string[]): string[] {
  return Object.keys(env).filter((name) => !known.includes(name)).flatMap(
    (name) => {
      const nearest = known.reduce((a, b) => distance(name, b) < distance(name, a) ? b : a);
      const alike = distance(name, nearest) <= (name.length > 5 ? 2 : 0);
      return alike || OUR_PREFIX.test(name)
        ? [`${name} is no setting and is ignored; did you mean ${nearest}?`]
        : [];
    },
  );
}

/** Collects what one program's settings are made of, and everything that is wrong with them. */
export class SettingsReader {
  readonly problems: string[] = [];
  readonly warnings: string[] = [];
  readonly #env: Environment;

  constructor(env: Environment) {
    // a variable that is set to nothing, as in an .env that was copied and not filled in, is not set
    this.#env = Object.fromEntries(
      Object.entries(env).filter(([, value]) => value?.trim()),
    );
  }

  parse<T extends z.ZodType>(schema: T): z.output<T> | undefined {
    const result = schema.safeParse(this.#env);
    if (result.success) return result.data;
    for (const { path, message } of result.error.issues) {
      const name = String(path[0]);
      // whatever is amiss with a URL, a password may be anywhere in it
      const isShown = !/_(?:URL|HOST)$/.test(name);
      this.problems.push(`${name} ${isShown ? `is "${this.#env[name]}": it ` : ""}${message}`);
    }
  }

  secret(name: Exclude<SecretName, HeadersName>): Secret | undefined {
    return this.#told(() => findSecret(name, this.#env, oneLine));
  }

  /** Headers to send besides, read again at each use. */
  headers(name: HeadersName): (() => RequestHeaders) | undefined {
    return this.#told(() => findSecret(name, this.#env, requestHeaders));
  }

  /** The text of a file with certificates, read again at each use; throws where it is none. */
  certificates(name: string, path: string | undefined): (() => string) | undefined {
    if (path === undefined) return undefined;
    const read = lastKnown(name, () => {
      try {
        const pem = readTextFile(path, MAX_CERTIFICATES_BYTES);
        clientTrusting(pem).close();
        return pem;
      } catch (error) {
        throw new Error(
          `${name} is "${path}": it must be a PEM file with the certificate of an authority ` +
            `(${error instanceof Error ? error.message : error})`,
        );
      }
    });
    return this.#told(() => (read(), read));
  }

  #told<T>(find: () => T): T | undefined {
    try {
      return find();
    } catch (error) {
      this.problems.push(describeError(error));
    }
  }

  /** Says where a program listens beyond this machine without a token. */
  checkListening(hostName: string, host: string, serviceToken: Secret | undefined): void {
    if (isLoopback(host) || serviceToken) return;
    this.problems.push(
      `${hostName} is "${host}", which others can reach: set SERVICE_TOKEN, the same for both programs`,
    );
  }

  /** The settings, with warnings of what is like one of the known names. Throws ConfigError. */
  finish<T>(settings: T | undefined, known: readonly string[]): Configured<T> {
    const warnings = [...warningsOf(this.#env, known), ...this.warnings];
    if (this.problems.length > 0 || settings === undefined) {
      throw new ConfigError(this.problems, warnings);
    }
    return { settings, warnings };
  }
}
