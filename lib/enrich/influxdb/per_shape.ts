/** What is worked out once for points that follow one another with the same tags and names of fields. */
import type { StorePoint } from "../store.ts";

/** What one line more needs: two points of one shape differ in the values of their fields, and in time. */
interface Known<T> {
  readonly measurement: string;
  readonly names: readonly string[];
  readonly answer: T;
}

/**
 * The function with a memory: it asks `of` again only where a point has another shape than the last
 * one with that very object of tags, which nobody changes. What nobody holds any more is forgotten
 * with its tags. `of` must depend on nothing but measurement, tags and the names of the fields.
 */
export function perShape<T>(of: (point: StorePoint) => T): (point: StorePoint) => T {
  const known = new WeakMap<StorePoint["tags"], Known<T>>();
  return (point) => {
    const { measurement, tags, fields } = point;
    const last = known.get(tags);
    if (last && last.measurement === measurement && areTheNames(last.names, fields)) {
      return last.answer;
    }
    const answer = of(point);
    known.set(tags, { measurement, names: [...fields.keys()], answer });
    return answer;
  };
}

function areTheNames(names: readonly string[], fields: StorePoint["fields"]): boolean {
  if (names.length !== fields.size) return false;
  let at = 0;
  for (const name of fields.keys()) if (name !== names[at++]) return false;
  return true;
}
