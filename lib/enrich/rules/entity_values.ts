/** What is configured for an entity (homeassistant/helpers/entity_values.py). */
import { domainOf, globPattern } from "./filter.ts";

/** How many entities' values are kept, as Home Assistant does. */
const MAX_ENTITIES = 16_384;

/** Values by entity: its domain's, then each matching glob's in their order, then its own, each over the ones before. */
export class EntityValues<T extends object> {
  readonly #exact: ReadonlyMap<string, Partial<T>>;
  readonly #domain: ReadonlyMap<string, Partial<T>>;
  readonly #glob: readonly (readonly [RegExp, Partial<T>])[];
  readonly #known = new Map<string, Partial<T>>();

  constructor(
    exact: ReadonlyMap<string, Partial<T>>,
    domain: ReadonlyMap<string, Partial<T>>,
    glob: ReadonlyMap<string, Partial<T>>,
  ) {
    this.#exact = exact;
    this.#domain = domain;
    this.#glob = [...glob].map(([pattern, values]) => [globPattern(pattern), values]);
  }

  get(entityId: string): Partial<T> {
    const found = this.#known.get(entityId);
    if (found) return found;
    if (this.#known.size >= MAX_ENTITIES) this.#known.clear();
    const values: Partial<T> = Object.assign(
      {},
      this.#domain.get(domainOf(entityId)),
      ...this.#glob.filter(([pattern]) => pattern.test(entityId)).map(([, values]) => values),
      this.#exact.get(entityId),
    );
    this.#known.set(entityId, values);
    return values;
  }
}
