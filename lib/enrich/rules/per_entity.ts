/** What is worked out once an entity. */
import { Recent } from "../recent.ts";

/** The function with a memory: it asks `of` again only where an entity's answer was forgotten. */
export function perEntity<T>(of: (entityId: string) => T): (entityId: string) => T {
  const known = new Recent<string, T>();
  return (entityId) => {
    const found = known.get(entityId);
    if (found !== undefined) return found;
    const answer = of(entityId);
    known.set(entityId, answer);
    return answer;
  };
}
