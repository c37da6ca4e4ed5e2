/** Applies CONFIG_FILE again when it changes; a faulty change is reported, and what held before holds on. */
import { isDeepStrictEqual } from "node:util";
import type { EnrichSettings } from "../../settings/enrich_settings.ts";
import { getLogger, redact } from "../../log.ts";
import { describeError, sleep } from "../../retry.ts";
import { ConfigError, type Configured } from "../../settings/settings_reader.ts";
import { readTextFile } from "../../settings/text_file.ts";
import { MAX_YAML_BYTES } from "../../settings/yaml_file.ts";

const LOOK_INTERVAL_MS = 1_000;

const log = getLogger("enrich", "config");

export class ConfigWatch {
  readonly #apply: (settings: EnrichSettings, before: EnrichSettings) => void;
  #settings: EnrichSettings;
  #problems: readonly string[] = [];
  /** What the last look saw, where that is not yet applied or told. */
  #seen: unknown;

  /**
   * `apply` is given the settings each time they have changed, and those before; it may throw
   * ConfigError.
   */
  constructor(
    settings: EnrichSettings,
    apply: (settings: EnrichSettings, before: EnrichSettings) => void,
  ) {
    this.#settings = settings;
    this.#apply = apply;
  }

  /** Why the file as it is now is not applied, or undefined where it is. */
  get problem(): string | undefined {
    return this.#problems.length > 0 ? this.#problems.join("\n") : undefined;
  }

  /**
   * Looks at the texts themselves until the signal is aborted: a mounted folder may tell of no
   * change, and an editor may put another file in the place of the old one. What two looks have
   * seen alike counts: a file that is being written is not whole. Never throws.
   */
  async run(signal: AbortSignal): Promise<void> {
    let tookMs = 0;
    while (this.#settings.file && !signal.aborted) {
      // a file that takes long to read leaves the program nine tenths of its time
      await sleep(Math.max(LOOK_INTERVAL_MS, 9 * tookMs), signal);
      const begunMs = performance.now();
      if (!signal.aborted) this.#look();
      tookMs = performance.now() - begunMs;
    }
  }

  #look(): void {
    // what a faulty file refers to may come without a change of the file itself
    if (this.#problems.length === 0 && !this.#hasChanged()) {
      this.#seen = undefined;
      return;
    }
    const { seen, act } = this.#read();
    const isSettled = isDeepStrictEqual(seen, this.#seen);
    this.#seen = seen;
    if (isSettled) act();
  }

  #hasChanged(): boolean {
    return [...this.#settings.file?.texts ?? []].some(([path, text]) => textOf(path) !== text);
  }

  /** What the files say: their texts, or what is wrong with them, and what follows from it. */
  #read(): { readonly seen: unknown; readonly act: () => void } {
    try {
      const configured = this.#settings.reread();
      return { seen: configured.settings.file?.texts, act: () => this.#applyAgain(configured) };
    } catch (error) {
      const problems = problemsIn(error);
      return { seen: problems, act: () => this.#tell(problems) };
    }
  }

  #applyAgain({ settings, warnings }: Configured<EnrichSettings>): void {
    try {
      this.#apply(settings, this.#settings);
    } catch (error) {
      return this.#tell(problemsIn(error));
    }
    this.#settings = settings;
    this.#problems = [];
    for (const warning of warnings) log.warn("{warning}", { warning });
    log.info("Applied {name} again", { name: settings.file?.name });
  }

  #tell(problems: readonly string[]): void {
    if (isDeepStrictEqual(problems, this.#problems)) return;
    this.#problems = problems;
    const name = this.#settings.file?.name;
    for (const problem of problems) {
      log.error("{name} has changed and is not applied: {problem}", { name, problem });
    }
  }
}

/** Whatever it is, it is the file's: with the one that is applied the program goes on. */
function problemsIn(error: unknown): readonly string[] {
  if (error instanceof ConfigError) return error.problems;
  return [`CONFIG_FILE cannot be applied (${redact(describeError(error))}): undo its last change`];
}

function textOf(path: string): string | undefined {
  try {
    return readTextFile(path, MAX_YAML_BYTES);
  } catch {
    return undefined; // while an editor replaces it
  }
}
