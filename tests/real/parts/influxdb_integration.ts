/** Home Assistant's own `influxdb` integration since 2026.3: a config entry, and options in YAML. */
import * as z from "zod";
import type { HomeAssistant } from "./home_assistant.ts";

const entriesSchema = z.array(z.object({ entry_id: z.string() }));
const flowSchema = z.looseObject({ flow_id: z.string() });
const madeSchema = z.looseObject({ type: z.literal("create_entry") });

/** What its form "v1", or "v2 / v3", asks for. */
export type Connection =
  & { readonly url: string }
  & (
    | { readonly database: string }
    | { readonly organization: string; readonly bucket: string; readonly token: string }
  );

export class InfluxdbIntegration {
  readonly #hass: HomeAssistant;

  constructor(hass: HomeAssistant) {
    this.#hass = hass;
  }

  /** Deletes its entry, as one does under Devices & services. */
  async delete(): Promise<void> {
    const path = "config/config_entries/entry";
    const entries = await this.#hass.rest(`${path}?domain=influxdb`, undefined, "GET");
    for (const { entry_id } of entriesSchema.parse(entries)) {
      await this.#hass.rest(`${path}/${entry_id}`, undefined, "DELETE");
    }
  }

  /** Adds it by its form, with these options as its block of configuration.yaml. Throws where it refuses. */
  async add(connection: Connection, options: string): Promise<void> {
    const file = `${this.#hass.dir}/configuration.yaml`;
    const [before = ""] = (await Deno.readTextFile(file)).split("influxdb:\n");
    await Deno.writeTextFile(file, `${before}influxdb:\n${options}`);
    const path = "config/config_entries/flow";
    const { flow_id } = flowSchema.parse(await this.#hass.rest(path, { handler: "influxdb" }));
    const step = "database" in connection ? "configure_v1" : "configure_v2";
    await this.#hass.rest(`${path}/${flow_id}`, { next_step_id: step });
    madeSchema.parse(
      await this.#hass.rest(`${path}/${flow_id}`, { ...connection, verify_ssl: false }),
    );
  }
}
