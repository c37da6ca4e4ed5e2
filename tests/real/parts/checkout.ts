/** The sources of another release, taken out of the history of this repository. */
import { run } from "./process.ts";

/** v0.1.0 */
export const OLD_RELEASE = "9f5a9eafd9f4092b2cb9f6cccc08b08ca7cc8264";

const HERE = new URL(".", import.meta.url).pathname;

export class Checkout implements AsyncDisposable {
  private constructor(readonly path: string) {}

  /** Throws where the history does not hold the commit. */
  static async of(commit: string): Promise<Checkout> {
    // of the whole repository: below its top git archives the folder that it stands in
    const repository = await git(HERE, "rev-parse", "--show-toplevel").catch(cannot(commit));
    await git(repository, "cat-file", "-e", `${commit}^{commit}`).catch(cannot(commit));
    const path = await Deno.makeTempDir({ prefix: "checkout-" });
    const checkout = new Checkout(path);
    try {
      const archive = `${path}/.tar`;
      await git(repository, "archive", "--output", archive, "--format", "tar", commit);
      await output("tar", "-x", "-f", archive, "-C", path);
      return checkout;
    } catch (error) {
      await checkout[Symbol.asyncDispose]();
      throw error;
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await Deno.remove(this.path, { recursive: true });
  }
}

/** Git refuses the repository of another user, as it is one to root where a user has cloned it. */
function git(folder: string, ...words: readonly string[]): Promise<string> {
  return output("git", "-c", "safe.directory=*", "-C", folder, ...words);
}

async function output(...words: readonly string[]): Promise<string> {
  const { code, stdout, stderr } = await run(words);
  if (code !== 0) throw new Error(`${words.join(" ")} ended with ${code}: ${stderr.trim()}`);
  return stdout.trim();
}

function cannot(commit: string): (cause: unknown) => never {
  return (cause) => {
    throw new Error(
      `Cannot take ${commit} out of the history of ${HERE}: it is not in it; ` +
        "a shallow clone gets it with `git fetch --unshallow`, an archive without history is not enough",
      { cause },
    );
  };
}
