/** A set of whole numbers, of which there may be more than a Set takes: a bit each. */
const CHUNK_NUMBERS = 65_536;

export class NumberSet {
  readonly #chunks = new Map<number, Uint8Array>();

  has(number: number): boolean {
    const bits = this.#chunks.get(Math.floor(number / CHUNK_NUMBERS));
    const at = number % CHUNK_NUMBERS;
    return bits !== undefined && ((bits[at >> 3] ?? 0) & (1 << (at & 7))) !== 0;
  }

  add(number: number): void {
    const chunk = Math.floor(number / CHUNK_NUMBERS);
    const bits = this.#chunks.get(chunk) ?? new Uint8Array(CHUNK_NUMBERS / 8);
    this.#chunks.set(chunk, bits);
    const at = number % CHUNK_NUMBERS;
    bits[at >> 3] = (bits[at >> 3] ?? 0) | (1 << (at & 7));
  }
}
