import assert from "node:assert/strict";
import fc from "fast-check";
import {
  domainOf,
  entityFilter,
  type EntityRules,
  globPattern,
} from "../../../lib/enrich/rules/filter.ts";

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

Deno.test("globPattern reads a glob as Python's fnmatch", () => {
  const globs: readonly (readonly [string, readonly string[], readonly string[]])[] = [
    ["sensor.*_power", ["sensor.a_power", "sensor._power"], ["sensor.a_power2", "xsensor.a_power"]],
    ["*", ["", "a", "a\nb", "😀"], []],
    ["a**b", ["ab", "a.b"], ["a"]],
    ["?", ["a", "😀", "\n", "."], ["", "aa"]],
    ["light.A", ["light.A"], ["light.a", "lightxA"]],
    ["a.b", ["a.b"], ["axb", "a.b\n"]],
    ["[ab]c", ["ac", "bc"], ["c", "abc", "cc"]],
    ["[!ab]c", ["xc", "\nc"], ["ac", "c"]],
    ["[a-c]", ["a", "b", "c"], ["d", "-"]],
    ["[!a-c]", ["d", "-"], ["b"]],
    ["[a-]", ["a", "-"], ["b"]],
    ["[-a]", ["a", "-"], ["b"]],
    ["[a-c-e]", ["b", "-", "e"], ["d"]],
    ["[--0]", ["-", ".", "/", "0"], ["1", ","]],
    ["[]a]", ["]", "a"], ["[]a]", ""]],
    ["[!]a]", ["b"], ["]", "a"]],
    ["[^a]", ["^", "a"], ["b"]],
    ["[a^]", ["^", "a"], ["b"]],
    ["[[]", ["["], ["]"]],
    ["[c-a]", [], ["a", "b", "c", "-", ""]],
    ["[!c-a]", ["a", "b", "-"], ["", "ab"]],
    ["[xc-ay]", ["x", "y"], ["a", "c", "-"]],
    ["[\\d]", ["\\", "d"], ["1"]],
    ["[😀-😂]", ["😁"], ["\ude01", "-"]],
    ["[\ue000-😀]", ["\uf000"], ["\ud83d"]],
    ["[", ["["], [""]],
    ["[]", ["[]"], [""]],
    ["[!]", ["[!]"], ["a"]],
    ["[ab", ["[ab"], ["a"]],
    ["(a|b)+{1}^$/\\-", ["(a|b)+{1}^$/\\-"], ["a"]],
    ["", [""], ["a"]],
  ];
  for (const [glob, matching, others] of globs) {
    const pattern = globPattern(glob);
    for (const text of matching) assert.ok(pattern.test(text), `${glob} matches ${text}`);
    for (const text of others) assert.ok(!pattern.test(text), `${glob} does not match ${text}`);
  }
});

Deno.test("domainOf gives what stands before the first point", () => {
  assert.deepEqual(["light.a", "a.b.c", "all"].map(domainOf), ["light", "a", "all"]);
});

/** The same by trying everything: only for short ones. */
function matches(glob: string, text: string): boolean {
  if (glob === "") return text === "";
  if (glob.startsWith("*")) {
    return matches(glob.slice(1), text) || (text !== "" && matches(glob, text.slice(1)));
  }
  const isSame = text !== "" && (glob.startsWith("?") || glob[0] === text[0]);
  return isSame && matches(glob.slice(1), text.slice(1));
}

Deno.test("globPattern finds what several * find, without trying every way", () => {
  const of = (...characters: string[]) =>
    fc.array(fc.constantFrom(...characters), { maxLength: 9 }).map((all) => all.join(""));
  fc.assert(
    fc.property(of("a", "b", "*", "?"), of("a", "b"), (glob, text) => {
      assert.equal(globPattern(glob).test(text), matches(glob, text));
    }),
    { numRuns: 5_000 },
  );
  const begun = performance.now();
  assert.equal(globPattern(`${"*a".repeat(20)}*b`).test("a".repeat(255)), false);
  assert.ok(performance.now() - begun < 5_000);
});
