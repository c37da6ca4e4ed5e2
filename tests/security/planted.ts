/** Secrets that are known by a word of their own, and everything in which such a word was looked for. */

/** A word that stands nowhere else, whole in whatever form the secret is written. */
export interface Planted {
  readonly name: string;
  readonly word: string;
}

export class Secrets {
  readonly #planted: Planted[] = [];

  /** A secret with that name, of characters that JSON, URLs and HTML each write differently. */
  plant(name: string, { before = `a"b\\c/+`, after = "=&<d" } = {}): string {
    const word = crypto.randomUUID().replaceAll("-", "");
    this.#planted.push({ name, word });
    return `${before}${word}${after}`;
  }

  /** Which secrets the text has in it, as they are, in a URL, in JSON, or in base64; also in part. */
  in(text: string): readonly string[] {
    return this.#planted.filter(({ word }) => formsOf(word).some((form) => text.includes(form)))
      .map(({ name }) => name);
  }
}

/**
 * The word as it is, of which letters and digits are the same in URLs, JSON and HTML, two thirds of
 * it, and what all base64 has of it, wherever it begins.
 */
function formsOf(word: string): readonly string[] {
  const part = Math.ceil(word.length * 2 / 3);
  const base64 = [0, 1, 2].map((offset) => {
    const text = btoa("x".repeat(offset) + word);
    return text.slice(Math.ceil(offset * 8 / 6), Math.floor((offset + word.length) * 8 / 6));
  });
  return [word.slice(0, part), word.slice(-part), ...base64];
}

/** Texts by where they were found. */
export class Evidence {
  readonly #texts = new Map<string, string>();

  /** Adds to what is known of that place. */
  add(place: string, text: string): void {
    this.#texts.set(place, `${this.#texts.get(place) ?? ""}${text}\n`);
  }

  /** Every file of the folder, whatever it holds. */
  addFolder(place: string, folder: string): void {
    for (const { name, isFile } of Deno.readDirSync(folder)) {
      const bytes = isFile ? Deno.readFileSync(`${folder}/${name}`) : new Uint8Array();
      this.add(`${place}/${name}`, new TextDecoder("latin1").decode(bytes));
    }
  }

  get places(): readonly string[] {
    return [...this.#texts.keys()];
  }

  textOf(place: string): string {
    return this.#texts.get(place) ?? "";
  }

  /** `the secret in the place: what stands round it`. */
  leaks(secrets: Secrets): readonly string[] {
    return [...this.#texts].flatMap(([place, text]) =>
      secrets.in(text).map((name) => {
        const line = text.split("\n").find((line) => secrets.in(line).includes(name)) ?? "";
        return `${name} in ${place}: ${line.slice(0, 600)}`;
      })
    );
  }
}
