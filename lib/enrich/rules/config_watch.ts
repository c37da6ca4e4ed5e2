/** Applies CONFIG_FILE again when it changes; a faulty change is told, and what held before holds on. */
import type { EnrichSettings } from "../../settings/program_settings.ts";
import { getLogger } from "../../log.ts";
import { sleep } from "../../retry.ts";
import { ConfigError } from "../../settings/settings_reader.ts";
import { readTextFile } from "../../settings/text_file.ts";

const LOOK_INTERVAL_MS = 2_000;

const log = getLogger("enrich", "config");

export class ConfigWatch {
  readonly #apply: (settings: EnrichSettings) => void;
  #settings: EnrichSettings;
  #problem: string | undefined;

  /** `apply` is given the settings each time they have changed; it may throw ConfigError. */
  constructor(settings: EnrichSettings, apply: (settings: EnrichSettings) => void) {
    this.#settings = settings;
    this.#apply = apply;
  }

  /** Why the file as it is now is not applied, or undefined where it is. */
  get problem(): string | undefined {
    return this.#problem;
  }

  /**
   * Looks at the texts themselves until the signal is aborted: a mounted folder may tell of no
   * change, and an editor may put another file in the place of the old one.
   */
  async run(signal: AbortSignal): Promise<void> {
    while (this.#settings.file && !signal.aborted) {
      await sleep(LOOK_INTERVAL_MS, signal);
      // what a faulty file refers to may come without a change of the file itself
      if (!signal.aborted && (this.#problem !== undefined || this.#hasChanged())) this.#reread();
    }
  }

  #hasChanged(): boolean {
    return [...this.#settings.file?.texts ?? []].some(([path, text]) => textOf(path) !== text);
  }

  #reread(): void {
    const name = this.#settings.file?.name;
    try {
      const { settings, warnings } = this.#settings.reread();
      this.#apply(settings);
      this.#settings = settings;
      this.#problem = undefined;
      for (const warning of warnings) log.warn("{warning}", { warning });
      log.info("Applied {name} again", { name });
    } catch (error) {
      if (!(error instanceof ConfigError)) throw error;
      if (error.message === this.#problem) return;
      this.#problem = error.message;
      for (const problem of error.problems) {
        log.error("{name} has changed and is not applied: {problem}", { name, problem });
      }
    }
  }
}

function textOf(path: string): string | undefined {
  try {
    return readTextFile(path);
  } catch {
    return undefined; // while an editor replaces it
  }
}
