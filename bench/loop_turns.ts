/** The turns of event loops that the probe has written down. */
import { join } from "node:path";
import { Process } from "../tests/real/parts/process.ts";

/** Preloaded into a program it writes down the program's long turns. */
export const LOOP_PROBE = new URL("loop_probe.ts", import.meta.url).pathname;

/** A turn of an event loop, in milliseconds; its beginning since 1970. */
interface LoopTurn {
  readonly beganMs: number;
  readonly tookMs: number;
}

/** Where the probe of one process writes: its working directory. */
export class LoopTurns {
  constructor(private readonly dir: string) {}

  /**
   * The longest turn that began within that time (milliseconds since 1970), in milliseconds; 0 where
   * all were short. Throws where no probe has run there.
   */
  async longest(fromMs: number, toMs: number): Promise<number> {
    const turns = (await Deno.readTextFile(join(this.dir, "turns"))).split("\n").flatMap(turnOf);
    const within = turns.filter(({ beganMs }) => beganMs >= fromMs && beganMs < toMs);
    return Math.max(0, ...within.map(({ tookMs }) => tookMs));
  }
}

/** What is not a whole line yet is none. */
function turnOf(line: string): LoopTurn[] {
  const [, ended, took] = /^(\d+\.\d) (\d+\.\d)$/.exec(line) ?? [];
  const tookMs = Number(took);
  return ended === undefined ? [] : [{ beganMs: Number(ended) - tookMs, tookMs }];
}

/** A program that does nothing: its turns are the machine's noise. */
export class IdleProgram implements AsyncDisposable {
  private constructor(readonly dir: string, private readonly process: Process) {}

  static async start(): Promise<IdleProgram> {
    const dir = await Deno.makeTempDir({ prefix: "idle-" });
    const words = [Deno.execPath(), "run", "--quiet", "--no-prompt", `--allow-write=${dir}`];
    return new IdleProgram(dir, new Process("idle", [...words, LOOP_PROBE], { cwd: dir }));
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.process.kill();
    await Deno.remove(this.dir, { recursive: true });
  }
}
