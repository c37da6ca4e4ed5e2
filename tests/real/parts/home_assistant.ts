/** A real Home Assistant core on 127.0.0.1, without network and without the browser part. */
import * as z from "zod";
import { freePort } from "./free_port.ts";
import { HassSocket } from "./hass_socket.ts";
import { keepHttpOptions, onboard } from "./onboarding.ts";
import { Process, run } from "./process.ts";
import { note } from "./real_test_case.ts";
import { Turns } from "./turns.ts";
import { until } from "../../until.ts";
import { underWrongClock } from "./wrong_clock.ts";

const here = `${import.meta.dirname}/../home-assistant`;
const KNOWN_VERSIONS = ["2024.3.3", "2025.4.4", "2026.11.0"] as const;
/** install.sh's exit status where the Python is missing. */
const PYTHON_MISSING = 3;
/** homeassistant.restart ends the process with this status, for its supervisor to start it again. */
const RESTART_EXIT_CODE = 100;
const START_LIMIT_MS = 240_000;
/** A start takes half a minute of a processor: many at once starve those that run, and what they are asked. */
const starts = new Turns(2);

export type HomeAssistantVersion = typeof KNOWN_VERSIONS[number];

/**
 * The versions that can be started here, installed where they are not yet. Says which
 * are left out. Throws where none is left: a test that tests nothing must not pass.
 */
export async function availableVersions(): Promise<HomeAssistantVersion[]> {
  const available: HomeAssistantVersion[] = [];
  for (const version of KNOWN_VERSIONS) {
    const { code, stderr } = await run([`${here}/install.sh`, version]);
    if (code === 0) available.push(version);
    else if (code === PYTHON_MISSING) note(`left out: ${stderr.trim()}`);
    else throw new Error(`Cannot install Home Assistant ${version}: ${stderr}`);
  }
  if (available.length === 0) {
    throw new Error(
      "Cannot test against a real Home Assistant: Python 3.14, 3.13 or 3.11 must be installed",
    );
  }
  return available;
}

/** The oldest and the newest of them, for what has not changed back and forth between. */
export async function oldestAndNewestVersions(): Promise<HomeAssistantVersion[]> {
  const available = await availableVersions();
  return available.filter((_, index) => index === 0 || index === available.length - 1);
}

/** The newest version that can be started here. */
export async function newestVersion(): Promise<HomeAssistantVersion> {
  const newest = (await availableVersions()).at(-1);
  if (newest === undefined) throw new Error("Cannot be: availableVersions threw");
  return newest;
}

export interface HomeAssistantOptions {
  readonly version: HomeAssistantVersion;
  /** Appended to configuration.yaml. */
  readonly extraYaml?: string;
  /** Without the `demo` integration, whose 100 entities have devices, but also a life of their own. */
  readonly minimal?: boolean;
  /** More options of `homeassistant`, indented by two. */
  readonly coreYaml?: string;
  /** More options of `http`, indented by two. */
  readonly httpYaml?: string;
  /** More options of the recorder, indented by two. */
  readonly recorderYaml?: string;
  /** More entries of `template`, indented by two. */
  readonly templateYaml?: string;
  /** How long the recorder gathers before it commits, 1 where it is not given; 0: after each event. */
  readonly commitIntervalSeconds?: number;
  /**
   * A file that says by how much its clock is wrong, see `underWrongClock`. A token is refused while
   * the clock is before its making: for a clock that goes back, start with it back already.
   */
  readonly clockFile?: string;
  /** Without the `history` integration: the recorder records, but nobody can ask. */
  readonly withoutHistory?: boolean;
}

/** Installs it where it is not yet; returns its virtual environment. */
async function installed(version: HomeAssistantVersion): Promise<string> {
  const { code, stdout, stderr } = await run([`${here}/install.sh`, version]);
  if (code !== 0) throw new Error(stderr);
  return stdout.trim();
}

export interface State {
  readonly state: string;
  readonly attributes?: Readonly<Record<string, unknown>>;
  readonly force_update?: boolean;
}

export class HomeAssistant implements AsyncDisposable {
  #process: Process;

  private constructor(
    readonly url: string,
    /** A long-lived token of an administrator. */
    readonly token: string,
    /** Its configuration folder, which is removed at the end. */
    readonly dir: string,
    /** The virtual environment in which it is installed. */
    private venv: string,
    private readonly start: (venv: string) => Process,
    process: Process,
  ) {
    this.#process = process;
  }

  /** The Python that it runs in. */
  get python(): string {
    return `${this.venv}/bin/python3`;
  }

  /** Installs it where needed, starts it, makes the first user, and returns when it is RUNNING. */
  static start(options: HomeAssistantOptions): Promise<HomeAssistant> {
    return starts.take(() => HomeAssistant.#start(options));
  }

  static async #start(
    {
      version,
      extraYaml = "",
      coreYaml = "",
      httpYaml = "",
      recorderYaml = "",
      templateYaml = "",
      commitIntervalSeconds = 1,
      clockFile,
      minimal = false,
      withoutHistory = false,
    }: HomeAssistantOptions,
  ): Promise<HomeAssistant> {
    const venv = await installed(version);
    const port = freePort();
    const url = `http://127.0.0.1:${port}`;
    const dir = await Deno.makeTempDir({ prefix: "hass-" });
    const template = await Deno.readTextFile(`${here}/configuration.yaml`);
    await Deno.writeTextFile(
      `${dir}/configuration.yaml`,
      [
        template.replace("server_port: 8123", `server_port: ${port}`)
          .replace("history:\n", withoutHistory ? "" : "history:\n")
          .replace("homeassistant:\n", `homeassistant:\n${coreYaml}`)
          .replace("http:\n", `http:\n${httpYaml}`)
          .replace("recorder:\n", `recorder:\n${recorderYaml}`)
          .replace("template:\n", `template:\n${templateYaml}`)
          .replace("commit_interval: 1", `commit_interval: ${commitIntervalSeconds}`),
        minimal ? "" : "demo:\n",
        extraYaml,
      ].join(""),
    );
    await run(["cp", "-r", `${here}/custom_components`, dir]);
    const wrongClock = clockFile === undefined ? [] : await underWrongClock(clockFile);
    const start = (venv: string) =>
      new Process("Home Assistant", [
        ...wrongClock,
        `${venv}/bin/hass`,
        "--skip-pip",
        "-c",
        dir,
      ]);
    const process = start(venv);
    try {
      const token = await onboard(url, () => process.running, START_LIMIT_MS);
      const hass = new HomeAssistant(
        url,
        token,
        dir,
        venv,
        start,
        process,
      );
      await hass.#untilRunning();
      await keepHttpOptions(url, token);
      return hass;
    } catch (error) {
      await process.kill();
      await Deno.remove(dir, { recursive: true });
      throw error;
    }
  }

  /** POST (or another method) to the REST API; returns the answer's JSON. Throws on any but 2xx. */
  async rest(path: string, body?: unknown, method = "POST"): Promise<unknown> {
    return await this.#rest(path, body === undefined ? undefined : JSON.stringify(body), method);
  }

  async #rest(path: string, body: string | undefined, method: string): Promise<unknown> {
    const response = await fetch(`${this.url}/api/${path}`, {
      method,
      headers: {
        Authorization: `Bearer ${this.token}`,
        "Content-Type": "application/json",
      },
      ...(body === undefined ? {} : { body }),
    });
    const text = await response.text();
    if (!response.ok) {
      throw new Error(`${method} /api/${path}: ${response.status} ${text}`);
    }
    return JSON.parse(text);
  }

  async setState(entityId: string, state: State): Promise<void> {
    await this.rest(`states/${entityId}`, state);
  }

  /** As `setState`, with the body's exact text. */
  async setStateText(entityId: string, body: string): Promise<void> {
    await this.#rest(`states/${entityId}`, body, "POST");
  }

  async deleteState(entityId: string): Promise<void> {
    await this.rest(`states/${entityId}`, undefined, "DELETE");
  }

  async fireEvent(
    eventType: string,
    data: Readonly<Record<string, unknown>> = {},
  ): Promise<void> {
    await this.rest(`events/${eventType}`, data);
  }

  /**
   * `n` state changes at `rate` a second of `entities` sensors `sensor.<prefix>_0 …`, then
   * the event `burst_done`. The event `burst_stop` ends it earlier.
   */
  async startBurst(
    burst: {
      readonly n: number;
      /** Without a rate `batch` are made in each turn of Home Assistant's loop. */
      readonly rate?: number;
      readonly batch?: number;
      readonly entities: number;
      readonly prefix?: string;
      readonly unit?: string;
    },
  ): Promise<void> {
    await this.fireEvent("burst_start", burst);
  }

  async callService(
    domain: string,
    service: string,
    data: Readonly<Record<string, unknown>> = {},
  ): Promise<void> {
    await this.rest(`services/${domain}/${service}`, data);
  }

  /** A WebSocket, for example for the registries' commands. */
  connect(): Promise<HassSocket> {
    return HassSocket.open(this.url, this.token);
  }

  /** What it has written since its start: its log. */
  get output(): string {
    return this.#process.output;
  }

  /** SIGKILL of Home Assistant itself. */
  async kill(): Promise<void> {
    await this.#process.kill();
  }

  /** SIGTERM: it writes down what it has and ends. */
  async stop(): Promise<void> {
    await this.#process.stop();
  }

  /** SIGSTOP: it does nothing, but its sockets stay open. */
  pause(): void {
    this.#process.pause();
  }

  resume(): void {
    this.#process.resume();
  }

  /** Starts it on the same folder and port; returns when it is RUNNING. */
  async startAgain(): Promise<void> {
    this.#process = this.start(this.venv);
    await this.#untilRunning();
  }

  /** What its restart button does; returns when it is RUNNING again. */
  async restart(): Promise<void> {
    // the answer may be lost in the restart that it asked for
    await this.callService("homeassistant", "restart").catch(() => undefined);
    const { code } = await this.#process.ended();
    if (code !== RESTART_EXIT_CODE) {
      throw new Error(`Cannot restart: Home Assistant ended with ${code}`);
    }
    await this.startAgain();
  }

  /** Stops it, and starts that version on the same folder and port; returns when it is RUNNING. */
  async upgrade(version: HomeAssistantVersion): Promise<void> {
    await this.stop();
    this.venv = await installed(version);
    await this.startAgain();
    await keepHttpOptions(this.url, this.token);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#process.kill();
    await Deno.remove(this.dir, { recursive: true });
  }

  async #untilRunning(): Promise<void> {
    const config = z.looseObject({ state: z.string() });
    await until(
      async () => {
        if (!this.#process.running) return "ended";
        const { state } = config.parse(
          await this.rest("config", undefined, "GET"),
        );
        return state === "RUNNING" && state;
      },
      "Home Assistant is RUNNING",
      { limitMs: START_LIMIT_MS },
    );
    if (!this.#process.running) {
      throw new Error("Cannot start Home Assistant: it has ended");
    }
  }
}
