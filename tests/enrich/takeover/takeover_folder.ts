/** A Home Assistant's folder, of which settings are made. */
import assert from "node:assert/strict";
import { dirname, join } from "node:path";
import { fromHomeAssistant } from "../../../lib/enrich/takeover/from_home_assistant.ts";
import type { Environment } from "../../../lib/settings/settings_reader.ts";
import { TemporaryFolder } from "../../temporary.ts";

/** `.storage/core.config_entries` as 2026.11 writes it, with this entry of influxdb. */
export function entries(
  data: Readonly<Record<string, unknown>>,
  disabledBy: string | null = null,
): Readonly<Record<string, string>> {
  const entry = {
    created_at: "2026-11-26T11:04:41.000000+00:00",
    data,
    disabled_by: disabledBy,
    discovery_keys: {},
    domain: "influxdb",
    entry_id: "01KB0000000000000000000000",
    minor_version: 1,
    modified_at: "2026-11-26T11:04:41.000000+00:00",
    options: {},
    pref_disable_new_entities: false,
    pref_disable_polling: false,
    source: "import",
    subentries: [],
    title: "home_assistant (127.0.0.1)",
    unique_id: null,
    version: 1,
  };
  const sun = { ...entry, domain: "sun", data: {}, title: "Sun", entry_id: "01KB1" };
  return {
    ".storage/core.config_entries": JSON.stringify({
      version: 1,
      minor_version: 5,
      key: "core.config_entries",
      data: { entries: [sun, entry] },
    }),
  };
}

export class TakeoverFolder implements Disposable {
  readonly #folder = new TemporaryFolder();
  readonly house = this.#folder.file("house");
  readonly into = this.#folder.file("config");

  constructor(files: Readonly<Record<string, string>>) {
    Deno.mkdirSync(this.house);
    for (const [name, text] of Object.entries(files)) {
      const path = join(this.house, name);
      Deno.mkdirSync(dirname(path), { recursive: true });
      Deno.writeTextFileSync(path, text);
    }
  }

  /** Runs the command on it. */
  async run(env: Environment = {}, args: readonly string[] = [this.house]) {
    let written = "";
    let complained = "";
    const status = await fromHomeAssistant(args, () => env, {
      write: (text) => void (written += text),
      complain: (text) => void (complained += `${text}\n`),
      columns: undefined,
      intervalMs: 1,
      lineIntervalMs: 1,
    }, this.into);
    return { status, written, complained };
  }

  /** The text of a file that was written; undefined where there is none. */
  file(name: string): string | undefined {
    try {
      return Deno.readTextFileSync(join(this.into, name));
    } catch {
      return undefined;
    }
  }

  /** Makes a link, which Deno lets only those do who may write anywhere. */
  link(target: string, path: string): void {
    const args = ["eval", "Deno.symlinkSync(...Deno.args)", target, path];
    assert.ok(new Deno.Command(Deno.execPath(), { args }).outputSync().success);
  }

  [Symbol.dispose](): void {
    this.#folder[Symbol.dispose]();
  }
}
