/** Commands that were sent over a connection and are not answered yet. */

export interface CommandAnswer {
  readonly result: unknown;
  /** The message's own text. */
  readonly text: string;
}

interface Waiting {
  readonly resolve: (answer: CommandAnswer) => void;
  readonly reject: (error: Error) => void;
  readonly timer: ReturnType<typeof setTimeout>;
  readonly sentMs: number;
}

export class OutstandingCommands {
  readonly #waiting = new Map<number, Waiting>();
  #lastId = 0;
  /** When a deadline passed first since anything was heard. */
  #lateMs = Infinity;

  /** Waits for the answer to the command that is sent now, under the id given. */
  add(
    type: string,
    deadlineMs: number,
  ): { readonly id: number; readonly answer: Promise<CommandAnswer> } {
    const { promise, resolve, reject } = Promise.withResolvers<CommandAnswer>();
    const id = ++this.#lastId;
    const timer = setTimeout(() => {
      this.#waiting.delete(id);
      this.#lateMs = Math.min(this.#lateMs, performance.now());
      reject(new Error(`no answer to ${type} within ${deadlineMs / 1000} s`));
    }, deadlineMs);
    this.#waiting.set(id, { resolve, reject, timer, sentMs: performance.now() });
    return { id, answer: promise };
  }

  /** Lets `answer` settle what waits under that id, if anything does. */
  settle(id: number, answer: (waiting: Pick<Waiting, "resolve" | "reject">) => void): void {
    const waiting = this.#waiting.get(id);
    if (!waiting) return;
    this.#waiting.delete(id);
    clearTimeout(waiting.timer);
    answer(waiting);
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
