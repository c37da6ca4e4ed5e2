/** What Home Assistant answers for its registries. A list that it refuses costs no other list. */
import type * as z from "zod";
import { getLogger } from "../../log.ts";
import { readList } from "../hass/answer_list.ts";
import type { Connection } from "../hass/connection.ts";
import { readInSteps } from "../hass/long_list.ts";
import { CommandFailed } from "../hass/outstanding_commands.ts";
import { presentStates } from "../hass/present_states.ts";
import { registryEntries, type RegistryKind, type RegistryLists } from "./registry_lists.ts";

const COMMANDS = {
  areas: "config/area_registry/list",
  floors: "config/floor_registry/list",
  labels: "config/label_registry/list",
  devices: "config/device_registry/list",
  entities: "config/entity_registry/list",
  states: "get_states",
} as const satisfies Record<RegistryKind, string>;

/** What this release of Home Assistant does not have, or this token may not read, stays so. */
const LASTING = ["unknown_command", "unauthorized", "no_list"];

const log = getLogger("ingest", "registry");

interface RegistryAnswer {
  readonly lists: RegistryLists;
  /** The lists that are empty because they were refused. */
  readonly refused: ReadonlySet<RegistryKind>;
  /** Whether it is worth asking again soon. */
  readonly passing: boolean;
}

export class RegistryAnswers {
  /** What was said of refused lists and odd entries: each once is enough. */
  readonly #said = new Set<string>();

  /**
   * Asks for all lists, one after the other, and last for the states, which may be those of another
   * request since `statesSinceMs`: see `presentStates`. Throws where the connection ends or gives no
   * answer.
   */
  async ask(connection: Connection, statesSinceMs?: number): Promise<RegistryAnswer> {
    const refused = new Set<RegistryKind>();
    let passing = false;
    const unlessRefused = async <T>(
      kind: RegistryKind,
      read: () => Promise<readonly T[]>,
    ): Promise<readonly T[]> => {
      try {
        return await read();
      } catch (error) {
        if (!(error instanceof CommandFailed)) throw error;
        refused.add(kind);
        passing ||= !LASTING.includes(error.code);
        this.#sayRefused(COMMANDS[kind], error);
        return [];
      }
    };
    const list = <T>(kind: RegistryKind, entry: z.ZodType<T>) =>
      unlessRefused(kind, () => this.#list(connection, COMMANDS[kind], entry));
    const lists = {
      areas: await list("areas", registryEntries.areas),
      floors: await list("floors", registryEntries.floors),
      labels: await list("labels", registryEntries.labels),
      devices: await list("devices", registryEntries.devices),
      entities: await list("entities", registryEntries.entities),
      states: await unlessRefused(
        "states",
        () => presentStates(connection, { askedSinceMs: statesSinceMs }),
      ),
    };
    return { lists, refused, passing };
  }

  async #list<T>(connection: Connection, command: string, entry: z.ZodType<T>): Promise<T[]> {
    const read: T[] = [];
    const isList = await readInSteps(await connection.list(command), (entries) => {
      const step = readList(entry, entries.map(({ value }) => value));
      for (const one of step.read) read.push(one);
      for (const problem of step.odd) this.#sayOdd(command, problem);
    });
    if (!isList) throw new CommandFailed("no_list", "it answered no list");
    return read;
  }

  #sayOdd(command: string, problem: string): void {
    this.#say(
      `${command} ${problem}`,
      () =>
        log.warn("Left out an entry of {command} that cannot be read: {problem}", {
          command,
          problem,
        }),
    );
  }

  #sayRefused(command: string, { code, message }: CommandFailed): void {
    this.#say(
      `${command} ${code}`,
      () =>
        log.warn("Cannot read {command}, what it said last goes on: {reason}", {
          command,
          reason: message,
        }),
    );
  }

  #say(what: string, say: () => void): void {
    if (this.#said.has(what)) return;
    this.#said.add(what);
    say();
  }
}
