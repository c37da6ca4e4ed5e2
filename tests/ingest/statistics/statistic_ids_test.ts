import assert from "node:assert/strict";
import { StatisticIds } from "../../../lib/ingest/statistics/statistic_ids.ts";

/** What an outbox keeps, and the ids of statistics by what the registry says of their entities. */
class Notes {
  readonly #kept = new Map<string, string>();
  readonly meta = (key: string) => this.#kept.get(key);
  readonly setMeta = (key: string, value: string) => void this.#kept.set(key, value);

  /** Imports statistics that are there under these ids; what stands behind is their registry id. */
  imported(listed: Readonly<Record<string, string | undefined>>): Record<string, string> {
    const registry = Object.entries(listed).flatMap(([entity_id, id]) =>
      id ? [{ entity_id, id }] : []
    );
    const ids = new StatisticIds(this, Object.keys(listed), registry);
    return Object.fromEntries(
      Object.keys(listed).map((id) => {
        ids.note(id);
        assert.ok(ids.isNoted(id));
        return [id, ids.storedId(id)];
      }),
    );
  }
}

Deno.test("A statistic is stored under its first id, however often its entity is renamed", () => {
  const notes = new Notes();
  const before = { "sensor.a": "1", "sensor.rest": undefined, "energy:solar": undefined };
  assert.deepEqual(notes.imported(before), {
    "sensor.a": "sensor.a",
    "sensor.rest": "sensor.rest",
    "energy:solar": "energy:solar",
  });
  assert.deepEqual(notes.imported({ "sensor.b": "1" }), { "sensor.b": "sensor.a" });
  assert.deepEqual(notes.imported({ "sensor.c": "1" }), { "sensor.c": "sensor.a" });
  assert.deepEqual(notes.imported({ "sensor.a": "1" }), { "sensor.a": "sensor.a" });
});

Deno.test("Two entities that change their ids keep their statistics apart", () => {
  const notes = new Notes();
  notes.imported({ "sensor.a": "1", "sensor.b": "2" });
  assert.deepEqual(notes.imported({ "sensor.a": "2", "sensor.b": "1" }), {
    "sensor.a": "sensor.b",
    "sensor.b": "sensor.a",
  });
});

Deno.test("A new device with the old one's id is stored beside it while that is there, and else goes on", () => {
  const notes = new Notes();
  notes.imported({ "sensor.a": "1", "sensor.a_2": "2" });
  const both = { "sensor.a_old": "1", "sensor.a": "3", "sensor.a_2": "2" };
  const stored = {
    "sensor.a_old": "sensor.a",
    "sensor.a": "sensor.a_3",
    "sensor.a_2": "sensor.a_2",
  };
  assert.deepEqual(notes.imported(both), stored);
  assert.deepEqual(notes.imported(both), stored);

  const others = new Notes();
  others.imported({ "sensor.a": "1" });
  assert.deepEqual(others.imported({ "sensor.a": "3" }), { "sensor.a": "sensor.a" });

  // hours that no entity has any more are no new device's, and are not lost between the two
  const left = new Notes();
  left.imported({ "sensor.a": "1" });
  assert.deepEqual(left.imported({ "sensor.a": undefined, "sensor.b": "1" }), {
    "sensor.a": "sensor.a_2",
    "sensor.b": "sensor.a",
  });
});

Deno.test("The hours of a renamed entity go on as they were once the entity is removed, or another has its id", () => {
  const notes = new Notes();
  notes.imported({ "sensor.a": "1" });
  notes.imported({ "sensor.b": "1" });
  assert.deepEqual(notes.imported({ "sensor.b": undefined }), { "sensor.b": "sensor.a" });
  assert.deepEqual(notes.imported({ "sensor.b": "2" }), { "sensor.b": "sensor.a" });
  // while the entity is there under a third id, another with its second one is its own
  const moved = new Notes();
  moved.imported({ "sensor.a": "1" });
  moved.imported({ "sensor.b": "1" });
  const both = { "sensor.c": "1", "sensor.b": "2" };
  const stored = { "sensor.c": "sensor.a", "sensor.b": "sensor.b" };
  assert.deepEqual(moved.imported(both), stored);
  assert.deepEqual(moved.imported({ ...both, "sensor.b": undefined }), stored);
  // a new device with the first id does not take the hours' place
  const left = new Notes();
  left.imported({ "sensor.a": "1" });
  left.imported({ "sensor.b": "1" });
  assert.deepEqual(left.imported({ "sensor.a": "2", "sensor.b": undefined }), {
    "sensor.a": "sensor.a_2",
    "sensor.b": "sensor.a",
  });
});

Deno.test("A statistic that 0.1.0 has imported is not noted before it is", () => {
  const ids = new StatisticIds(new Notes(), ["sensor.a", "energy:solar"], [
    { entity_id: "sensor.a", id: "1" },
    { entity_id: 5 },
  ]);
  assert.equal(ids.isNoted("sensor.a"), false);
  assert.equal(ids.isNoted("energy:solar"), true);
  ids.note("sensor.a");
  assert.equal(ids.isNoted("sensor.a"), true);
});
