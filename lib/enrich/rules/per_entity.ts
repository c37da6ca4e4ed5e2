/** What is worked out once an entity. */

/** So many entities' answers are kept, as Home Assistant does. */
const MAX_ENTITIES = 16_384;

/** The function with a memory: it asks `of` again only where an entity's answer was forgotten. */
export function perEntity<T>(of: (entityId: string) => T): (entityId: string) => T {
  const known = new Map<string, T>();
  return (entityId) => {
    const found = known.get(entityId);
    if (found !== undefined) return found;
    if (known.size >= MAX_ENTITIES) known.clear();
    const answer = of(entityId);
    known.set(entityId, answer);
    return answer;
  };
}
