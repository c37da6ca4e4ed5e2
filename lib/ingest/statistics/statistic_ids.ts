/**
 * Under which id each statistic is stored: the one that it had when it was imported first. Home
 * Assistant moves the hours of a renamed entity to its new id; stored under that they would be there
 * twice. What a rename leaves alone is the entity registry's own id.
 */
import * as z from "zod";
import { listOf } from "../hass/answer_list.ts";
import type { Outbox } from "../outbox/outbox.ts";

/** What is used of `config/entity_registry/list`. */
const registrySchema = listOf(z.object({ entity_id: z.string(), id: z.string() }));

export class StatisticIds {
  readonly #outbox: Pick<Outbox, "meta" | "setMeta">;
  readonly #registryIds: ReadonlyMap<string, string>;
  readonly #stored = new Map<string, string>();

  /** `listed`: the ids of all statistics that there are. `registry`: the entity registry's list. */
  constructor(
    outbox: Pick<Outbox, "meta" | "setMeta">,
    listed: readonly string[],
    registry: unknown,
  ) {
    this.#outbox = outbox;
    this.#registryIds = new Map(
      registrySchema.parse(registry).map(({ entity_id, id }) => [entity_id, id]),
    );
    const taken = new Set<string>();
    const store = (id: string, storedId: string) => {
      this.#stored.set(id, storedId);
      taken.add(storedId);
    };
    // the hours of an entity outlive its entry in the registry
    const notes = [
      (id: string) => this.#noted(id),
      (id: string) => this.#outbox.meta(lastKeyOf(id)),
    ];
    for (const noted of notes) {
      for (const id of listed) {
        const known = this.#stored.has(id) ? undefined : noted(id);
        if (known !== undefined && !taken.has(known)) store(id, known);
      }
    }
    // the new device that got the id of the old one, which has another id now, is stored beside it
    for (const id of listed) {
      if (this.#stored.has(id)) continue;
      let free = id;
      for (let n = 2; taken.has(free) || (free !== id && listed.includes(free)); n++) {
        free = `${id}_${n}`;
      }
      store(id, free);
    }
  }

  storedId(statisticId: string): string {
    return this.#stored.get(statisticId) ?? statisticId;
  }

  /** Whether a rename of the statistic would be found: it has been noted, or it is no entity's. */
  isNoted(statisticId: string): boolean {
    return !this.#registryIds.has(statisticId) || this.#noted(statisticId) !== undefined;
  }

  /** Writes down under which id the statistic is stored; to be called where its hours are committed. */
  note(statisticId: string): void {
    const registryId = this.#registryIds.get(statisticId);
    if (registryId === undefined) return;
    const storedId = this.storedId(statisticId);
    this.#outbox.setMeta(keyOf(registryId), storedId);
    const lastKey = lastKeyOf(statisticId);
    if (storedId !== (this.#outbox.meta(lastKey) ?? statisticId)) {
      this.#outbox.setMeta(lastKey, storedId);
    }
  }

  #noted(statisticId: string): string | undefined {
    const registryId = this.#registryIds.get(statisticId);
    return registryId === undefined ? undefined : this.#outbox.meta(keyOf(registryId));
  }
}

function keyOf(registryId: string): string {
  return `stored_statistic ${registryId}`;
}

/** Under which id the statistic of that id was stored last, where that is another one. */
function lastKeyOf(statisticId: string): string {
  return `stored_statistic_of ${statisticId}`;
}
