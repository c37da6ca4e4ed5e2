/** The environment, and an `.env` where there is one. No other module reads them. */
// not parseEnv by name, which keeps a runtime before Deno 2.9 from starting at all
import util from "node:util";
import { ConfigError, type Environment } from "./settings_reader.ts";
import { readTextFile } from "./text_file.ts";

/**
 * The variables of this process, over those of an `.env` in the working directory, where there is one.
 * Throws ConfigError where that cannot be read.
 */
export function readEnvironment(): Environment {
  let fromFile: Environment = {};
  try {
    fromFile = util.parseEnv(readTextFile(".env"));
  } catch (error) {
    const { cause, message } = error instanceof Error ? error : new Error(String(error));
    const absent = cause instanceof Deno.errors.NotFound ||
      cause instanceof Deno.errors.NotCapable;
    if (!absent) {
      throw new ConfigError([
        `.env in ${Deno.cwd()} must be a text file that can be read (${message})`,
      ]);
    }
  }
  return { ...fromFile, ...Deno.env.toObject() };
}
