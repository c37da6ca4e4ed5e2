/** What is worked out once for points that follow one another with the same tags and names of fields. */
import { Recent } from "../recent.ts";
import type { StorePoint } from "../store.ts";

/** The names of a point's fields, in their order. */
export type Names = readonly string[];

/** What one line more needs: two points of one shape differ in the values of their fields, and in time. */
interface Known<T> {
  readonly measurement: string;
  readonly names: Names;
  readonly answer: T;
}

/** The constructor returns what it gets: the private fields of a class that extends it are put there. */
class Given {
  constructor(given: object) {
    return given;
  }
}

/**
 * The function with a memory: it asks `of` again only where a point has another shape than the last
 * one with that very object of tags, which nobody changes. What nobody holds any more is forgotten
 * with its tags. `of` must depend on nothing but measurement, tags and the names of the fields, which it
 * gets as one and the same list wherever they are the same.
 */
export function perShape<T>(of: (point: StorePoint, names: Names) => T): (point: StorePoint) => T {
  /**
   * In place of a WeakMap: V8 follows its entries only while all else stands still, for 20 to 65 ms with
   * 20,000 of them.
   */
  class Noted extends Given {
    #known: Known<T>;

    constructor(tags: StorePoint["tags"], known: Known<T>) {
      super(tags);
      this.#known = known;
    }

    static knownOf(tags: StorePoint["tags"]): Known<T> | undefined {
      return #known in tags ? tags.#known : undefined;
    }

    static note(tags: StorePoint["tags"], known: Known<T>): void {
      if (#known in tags) tags.#known = known;
      else new Noted(tags, known);
    }
  }

  return (point) => {
    const { measurement, tags, fields } = point;
    const last = Noted.knownOf(tags);
    if (last && last.measurement === measurement && areTheNames(last.names, fields)) {
      return last.answer;
    }
    const names = sharedNames(fields);
    const answer = of(point, names);
    Noted.note(tags, { measurement, names, answer });
    return answer;
  };
}

/** So many lists of names are shared, where they are no longer than that: a house has some hundred. */
const MAX_LISTS = 1_024;
const MAX_CHARACTERS = 4_000;
const lists = new Recent<string, Names>(MAX_LISTS);

/** The names of the fields: most entities have those of another, and need no list of their own. */
function sharedNames(fields: StorePoint["fields"]): Names {
  const names = [...fields.keys()];
  const text = JSON.stringify(names);
  if (text.length > MAX_CHARACTERS) return names;
  const known = lists.get(text);
  if (known) return known;
  lists.set(text, names);
  return names;
}

/** The function with a memory, for lists that `perShape` gives out: thousands of entities share one. */
export function perNames<T>(of: (names: Names) => T): (names: Names) => T {
  const known = new WeakMap<Names, T>();
  return (names) => {
    const answer = known.get(names) ?? of(names);
    known.set(names, answer);
    return answer;
  };
}

function areTheNames(names: Names, fields: StorePoint["fields"]): boolean {
  if (names.length !== fields.size) return false;
  let at = 0;
  for (const name of fields.keys()) if (name !== names[at++]) return false;
  return true;
}
