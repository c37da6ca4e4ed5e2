/** Which entities are kept: Home Assistant's own filter (homeassistant/helpers/entityfilter.py of 2026.11). */
import { globPattern } from "../../glob.ts";
import { perEntity } from "./per_entity.ts";

/** What is listed under `include:` or `exclude:`. */
export interface EntityRules {
  readonly domains: readonly string[];
  readonly entities: readonly string[];
  readonly entityGlobs: readonly string[];
}

type Rule = (entityId: string) => boolean;

/** Passes everything: no rule is set. */
export const PASS_ALL: Rule = () => true;

/** Whether an entity passes: the six cases of Home Assistant's documentation. */
export function entityFilter(
  { include, exclude }: { readonly include: EntityRules; readonly exclude: EntityRules },
): Rule {
  const [included, excluded] = [matching(include), matching(exclude)];
  // 1
  if (isEmpty(exclude) && isEmpty(include)) return PASS_ALL;
  // 2 and 3: one side alone, where any match counts
  if (isEmpty(exclude)) return perEntity((id) => Object.values(included).some((is) => is(id)));
  if (isEmpty(include)) return perEntity((id) => !Object.values(excluded).some((is) => is(id)));
  // 4: what is more exact goes first; `exclude: domains:` has no effect
  if (include.domains.length + include.entityGlobs.length > 0) {
    return perEntity((id) =>
      included.entity(id) ||
      (!excluded.entity(id) &&
        (included.glob(id) || (included.domain(id) && !excluded.glob(id))))
    );
  }
  // 5: before 2026.11 an excluded entity failed though included, where no domain or glob excluded it
  if (exclude.domains.length + exclude.entityGlobs.length > 0) {
    return perEntity((id) => included.entity(id) || !Object.values(excluded).some((is) => is(id)));
  }
  // 6
  return included.entity;
}

function isEmpty({ domains, entities, entityGlobs }: EntityRules): boolean {
  return domains.length + entities.length + entityGlobs.length === 0;
}

function matching(rules: EntityRules): Readonly<Record<"domain" | "entity" | "glob", Rule>> {
  const domains = new Set(rules.domains);
  const entities = new Set(rules.entities);
  const globs = rules.entityGlobs.map(globPattern);
  return {
    domain: (id) => domains.has(domainOf(id)),
    entity: (id) => entities.has(id),
    glob: (id) => globs.some((pattern) => pattern.test(id)),
  };
}

/** `light` of `light.kitchen`. */
export function domainOf(entityId: string): string {
  const end = entityId.indexOf(".");
  return end === -1 ? entityId : entityId.slice(0, end);
}
