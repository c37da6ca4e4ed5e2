/** The routes of the ingest that runs, for commands: they never touch its file. */
import { z } from "zod";
import { failureSchema } from "../contract.ts";
import { deadline, describeError } from "../retry.ts";
import type { Secret } from "../settings/secret.ts";
import {
  ConfigError,
  type Environment,
  host,
  port,
  reachableUrl,
  SettingsReader,
} from "../settings/settings_reader.ts";

const REQUEST_DEADLINE_MS = 10_000;

/** Found by INGEST_HOST, INGEST_PORT and SERVICE_TOKEN. */
export class RunningIngest {
  readonly url: string;
  readonly #serviceToken: Secret | undefined;

  /** Throws ConfigError. */
  constructor(env: Environment) {
    const reader = new SettingsReader(env);
    const address = reader.parse(z.object({
      INGEST_HOST: host.default("127.0.0.1"),
      INGEST_PORT: port.default(8001),
    }));
    this.#serviceToken = reader.secret("SERVICE_TOKEN");
    if (!address || reader.problems.length > 0) throw new ConfigError(reader.problems);
    this.url = reachableUrl(address.INGEST_HOST, address.INGEST_PORT);
  }

  /** Throws TypeError or a TimeoutError where ingest cannot be reached, see `isAway`. */
  get(path: string, deadlineMs = REQUEST_DEADLINE_MS): Promise<Response> {
    return this.#fetch(path, {}, deadlineMs);
  }

  /** As `get`; the body is sent as JSON. */
  post(path: string, body: unknown, deadlineMs = REQUEST_DEADLINE_MS): Promise<Response> {
    const init = {
      method: "POST",
      headers: { "content-type": "application/json" },
      body: JSON.stringify(body),
    };
    return this.#fetch(path, init, deadlineMs);
  }

  #fetch(path: string, init: RequestInit, deadlineMs: number): Promise<Response> {
    const headers = new Headers(init.headers);
    if (this.#serviceToken) headers.set("authorization", `Bearer ${this.#serviceToken()}`);
    return fetch(this.url + path, {
      ...init,
      headers,
      redirect: "error",
      signal: deadline(deadlineMs),
    });
  }
}

/** What ingest says where it does not do what it was asked. */
export async function refusal(response: Response): Promise<Error> {
  const text = await response.text();
  let detail = response.statusText;
  try {
    detail = failureSchema.parse(JSON.parse(text)).detail;
  } catch {
    // something that is no ingest has answered
  }
  return new Error(`Ingest answered ${response.status}: ${detail}`);
}

/** Whether ingest could not be reached, or did not answer. */
export function isAway(error: unknown): boolean {
  return error instanceof TypeError ||
    (error instanceof DOMException && error.name === "TimeoutError");
}

/** The error with what to do, where ingest is away; else the error as it is. */
export function cannotReach({ url }: RunningIngest, error: unknown): unknown {
  if (!isAway(error)) return error;
  return new Error(
    `Cannot reach ingest at ${url}: see that it runs, and INGEST_HOST and INGEST_PORT ` +
      `(${describeError(error)})`,
  );
}
