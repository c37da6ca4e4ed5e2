import assert from "node:assert/strict";
import { entityName, isSettled } from "../../../lib/ingest/capture/entity_name.ts";
import { registryLists } from "../../registry_lists.ts";

const ENTRY = {
  entity_id: "sensor.window_temperature",
  name: null,
  original_name: "Temperature",
  has_entity_name: true,
  disabled_by: null,
};
const SHOWN = { state: "21.5", friendlyName: "Window Temperature" };
const UNAVAILABLE = { state: "unavailable", friendlyName: "Temperature" };

interface Known {
  readonly state?: Parameters<typeof entityName>[1]["state"];
  readonly deviceName?: string;
  readonly knownName?: string;
}

function nameOf(
  change: Readonly<Record<string, unknown>>,
  known: Known,
): string | null | undefined {
  const [entry] = registryLists({ entities: [{ ...ENTRY, ...change }] }).entities;
  assert.ok(entry);
  return entityName(entry, {
    state: undefined,
    deviceName: "Window",
    knownName: undefined,
    ...known,
  });
}

Deno.test("An entity is called what its state shows, whatever the registry says", () => {
  for (
    const change of [{}, { name: "Mine" }, { has_entity_name: false }, { original_name: null }]
  ) {
    assert.equal(nameOf(change, { state: SHOWN, knownName: "Old" }), "Window Temperature");
    const unknown = { ...SHOWN, state: "unknown" };
    assert.equal(nameOf(change, { state: unknown, knownName: "Old" }), "Window Temperature");
    const unnamed = { state: "21.5", friendlyName: undefined };
    assert.equal(nameOf(change, { state: unnamed, knownName: "Old" }), undefined);
  }
});

Deno.test("An entity keeps its name while its state is restored, unavailable or missing", () => {
  const restored = { ...UNAVAILABLE, isRestored: true };
  for (const state of [UNAVAILABLE, restored, undefined]) {
    assert.equal(nameOf({}, { state, knownName: "Window Temperature" }), "Window Temperature");
    assert.equal(nameOf({}, { state }), state ? "Temperature" : "Window Temperature");
    assert.ok(!state || !isSettled(state));
  }
});

Deno.test("A disabled entity is called what the registry says now, as each release puts it together", () => {
  const disabled = (change: object) => ({ disabled_by: "user", ...change });
  const nameIn = (change: object, deviceName = "Window") =>
    nameOf(disabled(change), { knownName: "Old", deviceName });
  assert.equal(nameIn({ name: "Mine" }), "Mine");
  assert.equal(nameIn({}), "Window Temperature");
  assert.equal(nameIn({ original_name: null }), "Window");
  assert.equal(nameIn({ has_entity_name: false }), "Temperature");
  assert.equal(nameIn({}, ""), "Temperature");
  // 2026.11 does not say which names go behind the device's: all do
  const newest = { has_entity_name: undefined };
  assert.equal(nameIn({ ...newest, name: "Mine" }), "Window Mine");
  assert.equal(nameIn(newest), "Window Temperature");
  assert.equal(nameIn({ ...newest, original_name: null }), "Window");
  assert.equal(nameIn(newest, ""), "Temperature");
});
