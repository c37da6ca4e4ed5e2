/** What is configured for an entity (homeassistant/helpers/entity_values.py). */
import { globPattern } from "../../glob.ts";
import { domainOf } from "./filter.ts";
import { perEntity } from "./per_entity.ts";

/** Values by entity: its domain's, then each matching glob's in their order, then its own, each over the ones before. */
export function entityValues<T extends object>(
  exact: ReadonlyMap<string, Partial<T>>,
  domain: ReadonlyMap<string, Partial<T>>,
  glob: ReadonlyMap<string, Partial<T>>,
): (entityId: string) => Partial<T> {
  const globs = [...glob].map(([text, values]) => [globPattern(text), values] as const);
  return perEntity((entityId): Partial<T> =>
    Object.assign(
      {},
      domain.get(domainOf(entityId)),
      ...globs.filter(([pattern]) => pattern.test(entityId)).map(([, values]) => values),
      exact.get(entityId),
    )
  );
}
