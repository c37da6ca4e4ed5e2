/** A simulated Home Assistant: it answers as the recordings of three real releases do. */
import { sleep } from "../../lib/retry.ts";
import { burstOptionsSchema } from "./burst.ts";
import type { FiredEvent } from "./bus.ts";
import type { Client, User } from "./client.ts";
import type { Context } from "./clock.ts";
import { executeCommand } from "./commands.ts";
import { type CoreOptions, HomeAssistantCore } from "./core.ts";
import type { HttpAnswer, HttpRequest } from "./http.ts";
import { answerRest } from "./rest.ts";
import type { Json } from "./schema.ts";
import { Server } from "./server.ts";
import { announceStart } from "./startup.ts";

/** How a simulation is to be; everything has a default. */
export interface SimulationOptions extends CoreOptions {
  /** 0, the default, takes a free one. */
  readonly port?: number;
  /** The path under which `/api/` is, as behind a proxy: `/hass`, for example. */
  readonly prefix?: string;
  /** The administrator's token. */
  readonly token?: string;
  /** Take every token for the administrator's. */
  readonly anyToken?: boolean;
  /** How long a client may be silent before `auth`. */
  readonly authTimeoutMs?: number;
}

const ADMIN: User = { id: "3112f8083fe74958809e83cc23141d69", isAdmin: true };
const PLAIN: User = { id: "4752a1c691fb409e99179b82935fcf27", isAdmin: false };
const KEPT_COMMANDS = 10_000;

/** The simulation. It listens on 127.0.0.1 between `start` and `stop`. */
export class SimulatedHomeAssistant extends HomeAssistantCore implements AsyncDisposable {
  readonly prefix: string;
  readonly token: string;
  /** The token of a user who is no administrator. */
  readonly plainToken = "simulated-plain-token";
  readonly authTimeoutMs: number;
  /** The last commands that clients sent. */
  readonly received: Json[] = [];
  readonly #anyToken: boolean;
  readonly #server: Server;
  #port: number;
  #down = new AbortController();
  #hung?: PromiseWithResolvers<void>;
  #tokenRefused = false;
  #subscribeDelayMs = 0;
  #historyOff = false;
  #historyFromMs = 0;
  #bytesPerSecond?: number;

  constructor(options: SimulationOptions = {}) {
    super(options);
    this.prefix = options.prefix ?? "";
    this.token = options.token ?? "simulated-token";
    this.#anyToken = options.anyToken ?? false;
    this.authTimeoutMs = options.authTimeoutMs ?? 10_000;
    this.#port = options.port ?? 0;
    this.#server = new Server(this);
  }

  /** Listens, started and ready. Throws where the port is taken. */
  start(): this {
    this.#open(true);
    return this;
  }

  /** Ends every connection as a Home Assistant does that is shut down, and listens no more. */
  async stop(): Promise<void> {
    this.#down.abort();
    this.resume();
    await this.#server.refuse();
    await this.#server.dropAll();
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.stop();
  }

  /** The port, the same after a restart. */
  get port(): number {
    return this.#port;
  }

  /** What HASS_URL is to be. */
  get url(): string {
    return `http://127.0.0.1:${this.#port}${this.prefix}`;
  }

  /** The WebSockets that are open, whether or not they have said who they are. */
  get clients(): readonly Client[] {
    return [...this.#server.clients];
  }

  /** How many clients have subscribed to something. */
  get subscriberCount(): number {
    return this.clients.filter(({ subscriptions }) => subscriptions.size > 0)
      .length;
  }

  /** How late `subscribe_events` is answered. */
  get subscribeDelayMs(): number {
    return this.#subscribeDelayMs;
  }

  /** Gives an area another name. */
  renameArea(areaId: string, name: string): void {
    this.registry.updateArea(areaId, { name });
  }

  /**
   * Goes down, refuses connections for `downMs`, and starts again: the port opens, and
   * `startingMs` later all registered entities are unavailable, then what they were.
   * States that no integration stands behind are gone. The recorder commits what waits, unless
   * it is held; where Home Assistant crashed, as by kill -9, that is lost and nobody hears a word.
   * The commands of history are known `historyMs` after the port opens, at the latest when RUNNING.
   */
  async restart(
    { downMs = 1000, startingMs = 100, historyMs = Infinity, crashed = false }: {
      downMs?: number;
      startingMs?: number;
      historyMs?: number;
      crashed?: boolean;
    } = {},
  ): Promise<void> {
    if (crashed) this.cutClients();
    else if (this.version === "2024.3.3") this.fire("homeassistant_stop");
    const before = this.states.all();
    await this.stop();
    this.recorder.endRun(crashed);
    this.states.clear();
    const { signal } = this.#down = new AbortController();
    await sleep(downMs, signal);
    if (signal.aborted) return;
    this.recorder.startRun();
    this.#open(false);
    this.#historyFromMs = performance.now() + historyMs;
    await sleep(startingMs, this.life);
    if (this.life.aborted) return;
    announceStart(this, before);
    this.live(this.life, true);
    this.fire("homeassistant_started");
  }

  /** Takes connections and frames, but answers nothing until `resume`. */
  hang(): void {
    this.#hung ??= Promise.withResolvers();
  }

  /** Ends `hang`: all that was asked meanwhile is answered. */
  resume(): void {
    this.#hung?.resolve();
    this.#hung = undefined;
  }

  /** Settles once it is not hung. */
  async awake(): Promise<void> {
    await this.#hung?.promise;
  }

  /** The sockets of now stay open, but nothing goes through them any more. New ones work. */
  halfOpen(): void {
    for (const client of this.clients) client.mute();
  }

  /** Drops all sockets at once, without a close frame. */
  cutClients(): void {
    for (const client of this.clients) client.cut();
  }

  /** Takes all tokens back, which ends the connections made with them; or gives them back. */
  async refuseToken(refused: boolean): Promise<void> {
    this.#tokenRefused = refused;
    if (!refused) return;
    const known = this.clients.filter(({ user }) => user !== undefined);
    await Promise.all(known.map((client) => client.drop()));
  }

  /** Answers `subscribe_events` so much later; 0 at once. */
  slowSubscribe(ms: number): void {
    this.#subscribeDelayMs = ms;
  }

  /** How many bytes a second a WebSocket client gets; undefined for no limit. */
  get bytesPerSecond(): number | undefined {
    return this.#bytesPerSecond;
  }

  /** What WebSocket clients get arrives no faster than that, in pieces; undefined ends the limit. */
  slowLink(bytesPerSecond: number | undefined): void {
    this.#bytesPerSecond = bytesPerSecond;
  }

  /** From now on it is a Home Assistant without the integration `history`. */
  disableHistory(off = true): void {
    this.#historyOff = off;
  }

  /** Who the token stands for, if for anyone. */
  authenticate(token: string): User | undefined {
    if (this.#tokenRefused) return undefined;
    if (token === this.plainToken) return PLAIN;
    return this.#anyToken || token === this.token ? ADMIN : undefined;
  }

  /** Carries out a command of a client. */
  execute(client: Client, id: number, message: Json): boolean {
    this.received.push(message);
    if (this.received.length > KEPT_COMMANDS * 2) {
      this.received.splice(0, KEPT_COMMANDS);
    }
    // a command of an integration that is not loaded, or not yet, is one that nobody knows
    const noHistory = this.#historyOff ||
      (!this.isRunning && performance.now() < this.#historyFromMs);
    if (noHistory && String(message.type).startsWith("history/")) return false;
    return executeCommand(this, client, id, message);
  }

  /** Answers a REST call. */
  rest(request: HttpRequest): HttpAnswer {
    return answerRest(this, request);
  }

  /** Fires what a REST call wants fired; `burst_start` starts a burst, as the test component does. */
  fireRemote(eventType: string, data: string, context: Context): void {
    const event = this.bus.make(eventType, data, { context, origin: "REMOTE" });
    const options = eventType === "burst_start"
      ? burstOptionsSchema.parse(JSON.parse(data))
      : undefined;
    // 2025.4 lets a new task run at once: the event is told after what it set off
    if (this.version !== "2025.4.4") this.bus.fire(event);
    if (options) void this.burst(options);
    if (this.version === "2025.4.4") this.bus.fire(event);
  }

  protected override deliver(event: FiredEvent): void {
    for (const client of this.#server.clients) client.deliver(event);
  }

  protected override async sent(): Promise<void> {
    await Promise.all(this.clients.map((client) => client.sent()));
  }

  #open(started: boolean): void {
    this.#port = this.#server.open(this.#port);
    this.#down = new AbortController();
    this.live(this.#down.signal, started);
  }
}
