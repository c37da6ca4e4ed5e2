/** What was worked out lately, and will soon be needed again. */

/** Four times the entities that Home Assistant expects of a house (its `MAX_EXPECTED_ENTITY_IDS`). */
const ENTITIES = 65_536;

/**
 * A map that forgets what was not asked for lately: it keeps the last `size` keys that were set or
 * asked for, and at most as many again. One that is emptied when it is full would forget all of a house
 * that is a little larger, again and again.
 */
export class Recent<K, V> {
  readonly #size: number;
  #newer = new Map<K, V>();
  #older = new Map<K, V>();

  /** Without a size it is enough for the entities of a large house. */
  constructor(size = ENTITIES) {
    this.#size = size;
  }

  get(key: K): V | undefined {
    const newer = this.#newer.get(key);
    if (newer !== undefined) return newer;
    const older = this.#older.get(key);
    if (older !== undefined) this.set(key, older);
    return older;
  }

  set(key: K, value: V): void {
    if (this.#newer.size >= this.#size && !this.#newer.has(key)) {
      this.#older = this.#newer;
      this.#newer = new Map();
    }
    this.#newer.set(key, value);
  }
}
