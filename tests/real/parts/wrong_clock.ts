/** A program whose clock is wrong: Debian's package `faketime`, the monotonic clock left as it is. */
import { run } from "./process.ts";

/** A command (`env …`) under which the system clock reads as the file says, for example `+3600`. */
export async function underWrongClock(offsetFile: string): Promise<string[]> {
  const { code, stdout } = await run([
    "bash",
    "-c",
    "ls /usr/lib/*/faketime/libfaketime.so.1",
  ]);
  if (code !== 0) throw new Error("Cannot set a wrong clock: install the package faketime");
  return [
    "env",
    `LD_PRELOAD=${stdout.trim()}`,
    `FAKETIME_TIMESTAMP_FILE=${offsetFile}`,
    "FAKETIME_CACHE_DURATION=1",
    "FAKETIME_DONT_FAKE_MONOTONIC=1",
  ];
}
