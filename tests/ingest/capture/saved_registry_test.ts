import assert from "node:assert/strict";
import { Registry } from "../../../lib/ingest/capture/registry.ts";
import { loadRegistry, registryWrites } from "../../../lib/ingest/capture/saved_registry.ts";
import { Outbox } from "../../../lib/ingest/outbox/outbox.ts";
import { atOnce } from "../../at_once.ts";
import { TemporaryFolder } from "../../temporary.ts";

/** As many entities and devices, all of one area. */
function registryOf(entities: number, devices: number, area = "Kitchen"): Registry {
  const numbers = (n: number) => Array.from({ length: n }, (_, i) => String(i).padStart(5, "0"));
  return Registry.load(JSON.stringify({
    entities: numbers(entities).map((n) => ({
      registryId: `r${n}`,
      info: { entity_id: `sensor.s${n}`, name: `S ${n}`, area, removed: false },
    })),
    devices: numbers(devices).map((n) => [`d${n}`, { device: `D ${n}`, area }]),
  }));
}

/** An outbox, and what is written to it of a registry, in the transactions that it takes. */
function outboxIn(folder: TemporaryFolder) {
  const outbox = new Outbox({
    path: folder.file("outbox.sqlite"),
    maxBytes: 2 ** 30,
    onFailure: (error) => assert.fail(String(error)),
  });
  const written: [key: string, value: string][] = [];
  const setMeta = outbox.setMeta.bind(outbox);
  outbox.setMeta = (key, value) => {
    written.push([key, value]);
    setMeta(key, value);
  };
  const save = (registry: Registry, most = Infinity) => {
    let transactions = 0;
    for (const write of registryWrites(registry, outbox)) {
      if (transactions === most) break;
      assert.ok(outbox.append([], write));
      transactions++;
    }
    return { transactions, written: written.splice(0) };
  };
  return { outbox, save, [Symbol.dispose]: () => outbox[Symbol.dispose]() };
}

function isSame(one: Registry, other: Registry): boolean {
  return atOnce(one.equalSteps(other));
}

Deno.test("A registry of up to 5,000 entities is saved as one text, as 0.1.0 reads it", () => {
  using folder = new TemporaryFolder();
  using file = outboxIn(folder);
  assert.equal(loadRegistry(file.outbox).size, 0);
  const registry = registryOf(5_000, 1_000);
  const { transactions, written } = file.save(registry);
  assert.equal(transactions, 1);
  assert.deepEqual(written.map(([key]) => key), ["registry"]);
  const { entities, devices } = JSON.parse(file.outbox.meta("registry") ?? "");
  assert.deepEqual([entities.length, devices.length], [5_000, 1_000]);
  assert.ok(isSame(loadRegistry(file.outbox), registry));
});

Deno.test("A larger registry is saved in parts, and only what has changed of it is written again", () => {
  using folder = new TemporaryFolder();
  using file = outboxIn(folder);
  file.save(registryOf(10, 10));
  const registry = registryOf(12_000, 17_000);
  const { transactions, written } = file.save(registry);
  assert.equal(transactions, 5);
  assert.deepEqual(
    written.map(([key]) => key),
    ["registry:0", "registry:1", "registry:2", "registry:3", "registry:4", "registry"],
  );
  // 5,000 entities and 5,000 devices of these names have 750,000
  for (const [, text] of written) assert.ok(text.length < 1_000_000, `${text.length} characters`);
  // 0.1.0 would not start with what is no JSON, and takes this for no registry
  assert.equal(file.outbox.meta("registry"), "{}");
  assert.ok(isSame(loadRegistry(file.outbox), registry));
  assert.deepEqual(file.save(registry).written, []);
  const [more] = registryOf(12_001, 17_000).save();
  assert.equal(more, file.outbox.meta("registry:0"));
  assert.deepEqual(file.save(registryOf(12_001, 17_000)).written.map(([key]) => key), [
    "registry:2",
  ]);
});

Deno.test("A registry that shrinks leaves nothing behind that is read", () => {
  using folder = new TemporaryFolder();
  using file = outboxIn(folder);
  for (const entities of [17_000, 6_000, 4_000, 6_000, 0]) {
    const registry = registryOf(entities, 1);
    file.save(registry);
    assert.ok(isSame(loadRegistry(file.outbox), registry), `${entities} entities`);
  }
});

Deno.test("A registry that was saved in part is found to differ, and nothing of it is lost", () => {
  using folder = new TemporaryFolder();
  using file = outboxIn(folder);
  const before = registryOf(4_000, 1);
  file.save(before);
  const [larger, renamed] = [registryOf(12_000, 1), registryOf(12_000, 1, "Kitchen, new")];
  file.save(larger, 2);
  assert.ok(isSame(loadRegistry(file.outbox), before), "the last one that was saved as a whole");
  file.save(larger);
  file.save(renamed, 2);
  const found = loadRegistry(file.outbox);
  assert.equal(found.size, 12_000);
  const again = atOnce(renamed.changeSteps(found)).map(({ entity_id }) => entity_id);
  assert.deepEqual([again.length, again[0]], [2_000, "sensor.s10000"]);
});
