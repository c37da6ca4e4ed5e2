/** Commands that were sent over a connection and are not answered yet. */

/** Home Assistant answered a command with an error. */
export class CommandFailed extends Error {
  override readonly name = "CommandFailed";
  constructor(readonly code: string, message: string) {
    super(message);
  }
}

export interface CommandAnswer {
  /** Undefined for a long list, which is in the text alone: see `readInSteps`. */
  readonly result: unknown;
  /** The message's own text. */
  readonly text: string;
  /** Texts of the events that were waited for. */
  readonly events: readonly string[];
}

interface Waiting {
  readonly resolve: (answer: CommandAnswer) => void;
  readonly reject: (error: Error) => void;
  readonly timer: ReturnType<typeof setTimeout>;
  /** How many events of its own belong to the answer. */
  readonly count: number;
  readonly sentMs: number;
}

export class OutstandingCommands {
  readonly #waiting = new Map<number, Waiting>();
  /** Events of commands that have them: not Home Assistant's own, and nobody's once there are enough. */
  readonly #events = new Map<number, string[]>();
  #lastId = 0;
  /** When a deadline passed first since anything was heard. */
  #lateMs = Infinity;

  /** Waits for the answer to the command that is sent now, under the id given, and `count` events of its own. */
  add(
    type: string,
    deadlineMs: number,
    count = 0,
  ): { readonly id: number; readonly answer: Promise<CommandAnswer> } {
    const { promise, resolve, reject } = Promise.withResolvers<CommandAnswer>();
    const id = ++this.#lastId;
    const timer = setTimeout(() => {
      this.#waiting.delete(id);
      this.#lateMs = Math.min(this.#lateMs, performance.now());
      reject(new Error(`no answer to ${type} within ${deadlineMs / 1000} s`));
    }, deadlineMs);
    if (count > 0) this.#events.set(id, []);
    this.#waiting.set(id, { resolve, reject, timer, count, sentMs: performance.now() });
    return { id, answer: promise };
  }

  /** Home Assistant has answered. */
  succeeded(id: number, answer: Omit<CommandAnswer, "events">): void {
    if (this.#waiting.get(id)?.count === 0) this.#take(id)?.resolve({ ...answer, events: [] });
  }

  /** Home Assistant has refused. */
  failed(id: number, { code, message } = { code: "unknown_error", message: "" }): void {
    this.#take(id)?.reject(new CommandFailed(code, `Home Assistant answered ${code}: ${message}`));
  }

  /** Takes an event of a command's own; false where it is none. */
  event(id: number, text: string): boolean {
    const events = this.#events.get(id);
    if (!events) return false;
    const count = this.#waiting.get(id)?.count;
    if (count === undefined) return true;
    events.push(text);
    if (events.length === count) {
      this.#take(id)?.resolve({ result: undefined, text, events: events.splice(0) });
    }
    return true;
  }

  #take(id: number): Waiting | undefined {
    const waiting = this.#waiting.get(id);
    this.#waiting.delete(id);
    clearTimeout(waiting?.timer);
    return waiting;
  }

  /** Fails all of them. */
  rejectAll(error: Error): void {
    for (const { reject, timer } of this.#waiting.values()) {
      clearTimeout(timer);
      reject(error);
    }
    this.#waiting.clear();
  }

  /** Something came. */
  heard(): void {
    this.#lateMs = Infinity;
  }

  /**
   * Whether silence says nothing yet: an answer may be on its way, of which only the whole is seen.
   * What was sent after another one waited in vain does not count, or a dead connection on which
   * things are asked again and again would never be found.
   */
  mayBeArriving(): boolean {
    return this.#waiting.values().some(({ sentMs }) => sentMs < this.#lateMs);
  }
}
