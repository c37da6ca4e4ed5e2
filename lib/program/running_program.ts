/** An ingest or enrich that runs, asked by its own routes: commands and checks never touch its files. */
import * as z from "zod";
import { failureSchema } from "../contract.ts";
import { deadline, describeError } from "../retry.ts";
import { enrichSchema, ingestSchema } from "../settings/program_settings.ts";
import type { Secret } from "../settings/secret.ts";
import {
  ConfigError,
  type Environment,
  reachableUrl,
  SettingsReader,
} from "../settings/settings_reader.ts";

export type ProgramName = "ingest" | "enrich";

/** Under the time-out of the containers' checks, which then show what is wrong. */
const DEADLINE_MS = 8_000;

const statusSchema = z.object({ program: z.string() });

const urlSchemas = {
  ingest: ingestSchema.pick({ INGEST_HOST: true, INGEST_PORT: true })
    .transform((all) => reachableUrl(all.INGEST_HOST, all.INGEST_PORT)),
  enrich: enrichSchema.pick({ ENRICH_HOST: true, ENRICH_PORT: true })
    .transform((all) => reachableUrl(all.ENRICH_HOST, all.ENRICH_PORT)),
};

export interface ProgramAnswer {
  readonly status: number;
  /** Undefined where it is no JSON. */
  readonly body: unknown;
}

/** The program cannot be reached, or does not answer in time. */
export class ProgramAway extends Error {
  override readonly name = "ProgramAway";
}

export class RunningProgram {
  readonly name: ProgramName;
  readonly url: string;
  readonly #serviceToken: Secret | undefined;
  readonly #settings: string;

  /** `name`: which program should be there. `settings`: those that say where, for messages. */
  constructor({ name, url, serviceToken, settings }: {
    readonly name: ProgramName;
    readonly url: string;
    readonly serviceToken: Secret | undefined;
    readonly settings?: string;
  }) {
    this.name = name;
    this.url = url;
    this.#serviceToken = serviceToken;
    this.#settings = settings ?? `${name.toUpperCase()}_HOST and ${name.toUpperCase()}_PORT`;
  }

  /** Throws ProgramAway. */
  get(path: string, signal?: AbortSignal): Promise<ProgramAnswer> {
    return this.#ask(path, {}, signal);
  }

  /** Sends the body as JSON. Throws ProgramAway. */
  post(path: string, body: unknown, signal?: AbortSignal): Promise<ProgramAnswer> {
    const headers = { "content-type": "application/json" };
    return this.#ask(path, { method: "POST", headers, body: JSON.stringify(body) }, signal);
  }

  async #ask(
    path: string,
    init: RequestInit,
    signal = deadline(DEADLINE_MS),
  ): Promise<ProgramAnswer> {
    const headers = new Headers(init.headers);
    if (this.#serviceToken) headers.set("authorization", `Bearer ${this.#serviceToken()}`);
    try {
      const response = await fetch(this.url + path, {
        ...init,
        headers,
        signal,
        redirect: "error",
      });
      return { status: response.status, body: jsonOf(await response.text()) };
    } catch (error) {
      throw new ProgramAway(
        `Cannot reach ${this.name} at ${this.url} (${describeError(error)}); ` +
          `see that it runs, and ${this.#settings}`,
      );
    }
  }

  /** What the answer 200 holds. Throws an Error that says what the program answered instead. */
  bodyOf<T extends z.ZodType>(answer: ProgramAnswer, schema: T): z.output<T> {
    const parsed = schema.safeParse(answer.body);
    if (answer.status === 200 && parsed.success) return parsed.data;
    throw this.refusal(answer);
  }

  /** What the program says where it does not do what it was asked. */
  refusal({ status, body }: ProgramAnswer): Error {
    const failure = failureSchema.safeParse(body);
    if (failure.success) {
      const { detail, cause } = failure.data;
      const name = this.name.replace(/^./, (c) => c.toUpperCase());
      return new Error(`${name} answered ${status}: ${[detail, cause].filter(Boolean).join(": ")}`);
    }
    return new Error(
      `What answers at ${this.url} is no ${this.name} of this version (it answered ${status}); ` +
        `check ${this.#settings}`,
    );
  }

  /** `ingest` or `enrich`, as what is there calls itself; undefined where it does not say. */
  async nameItself(): Promise<string | undefined> {
    try {
      return statusSchema.parse((await this.get("/status")).body).program;
    } catch {
      return undefined;
    }
  }
}

/** The program on this machine, found by its HOST and PORT and SERVICE_TOKEN. Throws ConfigError. */
export function findProgram(name: ProgramName, env: Environment): RunningProgram {
  const reader = new SettingsReader(env);
  const url = reader.parse(urlSchemas[name]);
  const serviceToken = reader.secret("SERVICE_TOKEN");
  if (url === undefined || reader.problems.length > 0) throw new ConfigError(reader.problems);
  return new RunningProgram({ name, url, serviceToken });
}

function jsonOf(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined; // something that is neither program has answered
  }
}
