/** The log of this process as lines, for as long as it is collected. */
import { configure, reset } from "@logtape/logtape";

export class CollectedLog implements AsyncDisposable {
  readonly lines: string[] = [];

  static async begin(): Promise<CollectedLog> {
    const log = new CollectedLog();
    await configure({
      reset: true,
      sinks: { lines: ({ message }) => void log.lines.push(message.join("")) },
      loggers: [
        { category: [], sinks: ["lines"], lowestLevel: "debug" },
        { category: ["logtape", "meta"], sinks: [], lowestLevel: "warning" },
      ],
    });
    return log;
  }

  /** The lines that have that text in them. */
  with(text: string): string[] {
    return this.lines.filter((line) => line.includes(text));
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await reset();
  }
}
