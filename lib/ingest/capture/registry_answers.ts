/** What Home Assistant answers for its registries. A list that it refuses costs no other list. */
import { getLogger } from "../../log.ts";
import { CommandFailed, type Connection } from "../hass/connection.ts";
import { type RegistryKind, type RegistryLists, registryListsSchema } from "./registry.ts";

const COMMANDS = {
  areas: "config/area_registry/list",
  floors: "config/floor_registry/list",
  labels: "config/label_registry/list",
  devices: "config/device_registry/list",
  entities: "config/entity_registry/list",
  states: "get_states",
} as const satisfies Record<RegistryKind, string>;

/** What this release of Home Assistant does not have, or this token may not read, stays so. */
const LASTING = ["unknown_command", "unauthorized"];

const log = getLogger("ingest", "registry");

interface RegistryAnswer {
  readonly lists: RegistryLists;
  /** The lists that are empty because they were refused. */
  readonly refused: ReadonlySet<RegistryKind>;
  /** Whether it is worth asking again soon. */
  readonly passing: boolean;
}

export class RegistryAnswers {
  /** What was said of refused lists: each once is enough. */
  readonly #said = new Set<string>();

  /** Asks for all lists, one after the other. Throws where the connection ends or gives no answer. */
  async ask(connection: Connection): Promise<RegistryAnswer> {
    const refused = new Set<RegistryKind>();
    let passing = false;
    const list = async (kind: RegistryKind): Promise<unknown> => {
      try {
        return (await connection.list(COMMANDS[kind])).result;
      } catch (error) {
        if (!(error instanceof CommandFailed)) throw error;
        refused.add(kind);
        passing ||= !LASTING.includes(error.code);
        this.#say(COMMANDS[kind], error);
        return [];
      }
    };
    const lists = registryListsSchema.parse({
      areas: await list("areas"),
      floors: await list("floors"),
      labels: await list("labels"),
      devices: await list("devices"),
      entities: await list("entities"),
      states: await list("states"),
    });
    return { lists, refused, passing };
  }

  #say(command: string, { code, message }: CommandFailed): void {
    const said = `${command} ${code}`;
    if (this.#said.has(said)) return;
    this.#said.add(said);
    log.warn("Cannot read {command}, what it said last goes on: {reason}", {
      command,
      reason: message,
    });
  }
}
