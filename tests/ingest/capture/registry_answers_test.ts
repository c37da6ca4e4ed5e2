import assert from "node:assert/strict";
import { CollectedLog } from "../../collected_log.ts";
import { HOUSE } from "../../simulator/sample_house.ts";
import { ListingHomeAssistant } from "../../stand_ins/listing_home_assistant.ts";
import { RefusingHomeAssistant } from "../../stand_ins/refusing_home_assistant.ts";
import { TemporaryFolder } from "../../temporary.ts";
import { until } from "../../until.ts";
import { type Capturing, capturing, connected, hears, linesOf } from "./capturing.ts";

const LISTS = ["area", "floor", "label", "device", "entity"].map((kind) =>
  `config/${kind}_registry/list`
);

function started(): RefusingHomeAssistant {
  return new RefusingHomeAssistant({ recorder: false, house: HOUSE }).start();
}

const named = (setup: Capturing) =>
  until(() => setup.outbox.meta("registry") !== undefined, "the names are read");

/** What the entities are, by what ingest has said of them. */
function infos(setup: Capturing): Record<string, unknown>[] {
  return linesOf(setup).filter((line) => line.includes('"via":"registry"'))
    .map((line) => JSON.parse(line).event.data);
}

Deno.test("A registry list that is refused costs neither events nor the other lists", async () => {
  for (const code of ["unauthorized", "unknown_command"] as const) {
    for (const refused of LISTS) {
      using folder = new TemporaryFolder();
      await using hass = started();
      hass.refuses = ({ type }) => type === refused ? code : undefined;
      await capturing(hass, folder.file("outbox.sqlite"), async (setup) => {
        await connected(setup);
        await hears(hass, setup, "sensor.heard");
        await named(setup);
        assert.equal(setup.capture.connections, 1);
        const says = (member: string) => infos(setup).some((info) => member in info);
        const what = `${refused} ${code}`;
        assert.equal(infos(setup).length > 0, !refused.includes("entity"), what);
        if (refused.includes("entity")) return;
        // the entities of this house are where their devices are
        assert.equal(says("area"), !/area|device/.test(refused), what);
        assert.equal(says("floor"), !/area|floor|device/.test(refused), what);
        assert.equal(says("manufacturer"), !refused.includes("device"), what);
      });
    }
  }
});

Deno.test("What a list said last goes on while it is refused, over a restart too", async () => {
  for (const refused of LISTS) {
    using folder = new TemporaryFolder();
    await using hass = started();
    const path = folder.file("outbox.sqlite");
    let first = "";
    await capturing(hass, path, async (setup) => {
      await connected(setup);
      await named(setup);
      first = setup.outbox.meta("registry") ?? "";
    });
    const before = first;
    const reads = () => hass.received.filter(({ type }) => type === LISTS[0]).length;
    const readBefore = reads();
    hass.refuses = ({ type }) => type === refused ? "unauthorized" : undefined;
    await capturing(hass, path, async (setup) => {
      await connected(setup);
      await until(() => reads() > readBefore, "the registries are asked");
      // the next state comes after all answers
      await hears(hass, setup, "sensor.heard");
      const told = infos(setup).length;
      hass.fire("area_registry_updated", { action: "update", area_id: "none" });
      await until(() => reads() > readBefore + 1, "they are asked again");
      await until(
        () => hass.received.at(-1)?.type === "get_states",
        "and all of them",
      );
      await hears(hass, setup, "sensor.heard_later");
      assert.equal(setup.outbox.meta("registry"), before, refused);
      assert.equal(infos(setup).length, told, refused);
    });
  }
});

Deno.test("An odd entry of a registry costs no other its name, and is said once", async () => {
  await using log = await CollectedLog.begin();
  using folder = new TemporaryFolder();
  await using hass = new ListingHomeAssistant({ recorder: false, house: HOUSE }).start();
  const entities = hass.entries("entity");
  const odd = { ...entities[0], entity_id: "sensor.a.b" };
  hass.lists.set("config/entity_registry/list", JSON.stringify([odd, ...entities, null]));
  hass.lists.set("config/label_registry/list", `{"odd":true}`);
  const path = folder.file("outbox.sqlite");
  const [area] = HOUSE.areas;
  assert.ok(area);
  await capturing(hass, path, async (setup) => {
    await connected(setup);
    await named(setup);
    const known = () => HOUSE.entities.map(({ entity_id }) => setup.capture.namesOf(entity_id));
    assert.ok(known().every((names) => names !== undefined), "all others are named");
    for (const name of ["A new name", "Another one"]) {
      hass.renameArea(area.area_id, name);
      await until(() => known().some((names) => names?.area === name), "it is read again");
    }
  });
  const said = log.lines.filter((line) => line.includes("entity_registry/list"));
  assert.equal(said.length, 2, said.join("\n"));
  assert.match(String(said[0]), /entity_id "sensor\.a\.b": must be <domain>\.<object_id>/);
  const notLists = log.lines.filter((line) => line.includes("label_registry/list"));
  assert.deepEqual(notLists.map((line) => line.includes("answered no list")), [true]);
});
