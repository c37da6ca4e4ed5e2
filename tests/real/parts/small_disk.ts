/** A disk of some megabytes of its own (a tmpfs; root only), which can be filled to the last byte. */
import { run } from "./process.ts";

async function must(...words: string[]): Promise<string> {
  const { code, stdout, stderr } = await run(words);
  if (code !== 0) throw new Error(`Cannot run ${words.join(" ")}: ${stderr}`);
  return stdout;
}

export class SmallDisk implements AsyncDisposable {
  private constructor(readonly path: string) {}

  /** Mounts an empty one. */
  static async mount(megabytes: number): Promise<SmallDisk> {
    const path = await Deno.makeTempDir({ prefix: "disk-" });
    await must("mount", "-t", "tmpfs", "-o", `size=${megabytes}m,mode=0700`, "tmpfs", path);
    return new SmallDisk(path);
  }

  /** Another program takes all that is free. */
  async fill(): Promise<void> {
    await run([
      "dd",
      "if=/dev/zero",
      `of=${this.path}/ballast`,
      "bs=4096",
      "oflag=append",
      "conv=notrunc",
    ]);
    const freeBytes = await this.freeBytes();
    if (freeBytes > 0) throw new Error(`Cannot fill the disk: ${freeBytes} bytes are free`);
  }

  /** The other program lets go of what it took. */
  async free(): Promise<void> {
    await must("rm", "-f", `${this.path}/ballast`);
  }

  async freeBytes(): Promise<number> {
    return Number(await must("stat", "-f", "-c", "%a", this.path)) * 4096;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await must("umount", "-l", this.path);
    await Deno.remove(this.path);
  }
}
