import assert from "node:assert/strict";
import { domainOf, entityFilter, type EntityRules } from "../../../lib/enrich/rules/filter.ts";

const NONE: EntityRules = { domains: [], entities: [], entityGlobs: [] };

function passing(
  { include = {}, exclude = {} }: {
    readonly include?: Partial<EntityRules>;
    readonly exclude?: Partial<EntityRules>;
  },
  entityIds: readonly string[],
): string[] {
  const passes = entityFilter({
    include: { ...NONE, ...include },
    exclude: { ...NONE, ...exclude },
  });
  const passed = entityIds.filter(passes);
  assert.deepEqual(entityIds.filter(passes), passed, "asked again");
  return passed;
}

const HOUSE = ["light.a", "light.b", "light.c", "sensor.a", "sensor.b", "switch.a", "switch.b"];

/** Home Assistant's documentation tells them apart like this. */
const CASES: readonly (readonly [
  name: string,
  rules: Parameters<typeof passing>[0],
  passed: readonly string[],
])[] = [
  ["1: no filter passes all", {}, HOUSE],
  [
    "2: include only passes any match",
    { include: { domains: ["light"], entities: ["sensor.a"], entityGlobs: ["*.b"] } },
    ["light.a", "light.b", "light.c", "sensor.a", "sensor.b", "switch.b"],
  ],
  [
    "3: exclude only fails any match",
    { exclude: { domains: ["light"], entities: ["sensor.a"], entityGlobs: ["*.b"] } },
    ["switch.a"],
  ],
  [
    "4: an included entity passes before all that is excluded",
    {
      include: { domains: ["switch"], entities: ["light.a", "light.b"] },
      exclude: { domains: ["light"], entities: ["light.a"], entityGlobs: ["light.b"] },
    },
    ["light.a", "light.b", "switch.a", "switch.b"],
  ],
  [
    "4: an excluded entity fails before an included glob and domain",
    {
      include: { domains: ["light"], entityGlobs: ["light.*"] },
      exclude: { entities: ["light.a"] },
    },
    ["light.b", "light.c"],
  ],
  [
    "4: an included glob passes before an excluded one",
    { include: { entityGlobs: ["*.a"] }, exclude: { entityGlobs: ["light.*", "*.b"] } },
    ["light.a", "sensor.a", "switch.a"],
  ],
  [
    "4: an excluded glob fails before an included domain",
    { include: { domains: ["light", "sensor"] }, exclude: { entityGlobs: ["*.a"] } },
    ["light.b", "light.c", "sensor.b"],
  ],
  [
    "4: an excluded domain has no effect",
    { include: { domains: ["light"] }, exclude: { domains: ["light", "sensor"] } },
    ["light.a", "light.b", "light.c"],
  ],
  [
    "5: of an excluded domain or glob only an included entity passes",
    {
      include: { entities: ["light.a", "switch.b"] },
      exclude: { domains: ["light"], entityGlobs: ["*.b"] },
    },
    ["light.a", "sensor.a", "switch.a", "switch.b"],
  ],
  [
    "5: elsewhere only an excluded entity fails that is not included",
    {
      include: { entities: ["light.b", "sensor.a"] },
      exclude: { domains: ["light"], entities: ["light.a", "light.b", "sensor.a", "switch.a"] },
    },
    ["light.b", "sensor.a", "sensor.b", "switch.b"],
  ],
  [
    "6: entities on both sides pass only the included ones",
    { include: { entities: ["light.a", "light.b"] }, exclude: { entities: ["light.a"] } },
    ["light.a", "light.b"],
  ],
];

for (const [name, rules, passed] of CASES) {
  Deno.test(`entityFilter, case ${name}`, () => {
    assert.deepEqual(passing(rules, HOUSE), passed);
  });
}

/** The tests of the integration itself (tests/components/influxdb/test_init.py). */
const INTEGRATION: readonly (readonly [
  name: string,
  rules: Parameters<typeof passing>[0],
  passed: readonly string[],
  failed: readonly string[],
])[] = [
  [
    "a denylist of an entity",
    { exclude: { entities: ["fake.denylisted"] } },
    ["fake.ok"],
    ["fake.denylisted"],
  ],
  [
    "a denylist of a domain",
    { exclude: { domains: ["another_fake"] } },
    ["fake.ok"],
    ["another_fake.denylisted"],
  ],
  [
    "a denylist of a glob",
    { exclude: { entityGlobs: ["*.excluded_*"] } },
    ["fake.ok"],
    ["fake.excluded_entity"],
  ],
  [
    "an allowlist of an entity",
    { include: { entities: ["fake.included"] } },
    ["fake.included"],
    ["fake.excluded"],
  ],
  [
    "an allowlist of a domain",
    { include: { domains: ["fake"] } },
    ["fake.ok"],
    ["another_fake.excluded"],
  ],
  [
    "an allowlist of a glob",
    { include: { entityGlobs: ["*.included_*"] } },
    ["fake.included_entity"],
    ["fake.denied"],
  ],
  [
    "a filtered allowlist",
    {
      include: {
        domains: ["fake"],
        entities: ["another_fake.included"],
        entityGlobs: ["*.included_*"],
      },
      exclude: {
        entities: ["fake.excluded"],
        domains: ["another_fake"],
        entityGlobs: ["*.excluded_*"],
      },
    },
    ["fake.ok", "another_fake.included", "test.included_entity", "another_fake.included_entity"],
    ["fake.excluded", "another_fake.denied", "fake.excluded_entity"],
  ],
  [
    "a filtered denylist",
    {
      include: { entities: ["another_fake.included", "fake.excluded_pass"] },
      exclude: { domains: ["another_fake"], entityGlobs: ["*.excluded_*"] },
    },
    ["fake.ok", "another_fake.included", "fake.excluded_pass"],
    ["another_fake.denied", "fake.excluded_entity"],
  ],
];

for (const [name, rules, passed, failed] of INTEGRATION) {
  Deno.test(`entityFilter passes what the integration's own test of ${name} passes`, () => {
    assert.deepEqual(passing(rules, [...passed, ...failed]), passed);
  });
}

Deno.test("entityFilter answers the same when it has forgotten what it knew", () => {
  const passes = entityFilter({ include: { ...NONE, entityGlobs: ["*.a*"] }, exclude: NONE });
  for (let n = 0; n < 40_000; n++) {
    assert.ok(passes(`light.a${n}`));
    assert.ok(!passes(`light.b${n}`));
  }
});

Deno.test("domainOf gives what stands before the first point", () => {
  assert.deepEqual(["light.a", "a.b.c", "all"].map(domainOf), ["light", "a", "all"]);
});
