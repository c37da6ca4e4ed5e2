import assert from "node:assert/strict";
import { floorLine } from "../../bench/floor.ts";

const ATTRIBUTES = {
  unit_of_measurement: "W",
  voltage: 231.4,
  friendly_name: "Plug 1 Outlet, left",
};

function lineAt(last_updated: string): string {
  return floorLine("sensor.a", { state: "1000001", attributes: ATTRIBUTES, last_updated });
}

Deno.test("The floor writes a state as a line, to the microsecond", () => {
  assert.equal(
    lineAt("2026-06-25T21:20:05.162552+00:00"),
    "sensor,entity_id=sensor.a,unit_of_measurement=W,friendly_name=Plug\\ 1\\ Outlet\\,\\ left " +
      `value=1000001,voltage=231.4 ${Date.UTC(2026, 5, 25, 21, 20, 5, 162)}552000`,
  );
});

Deno.test("The floor knows a time whose fraction Home Assistant leaves out", () => {
  const time = lineAt("2026-06-25T21:20:05+00:00").split(" ").at(-1);
  assert.equal(time, `${Date.UTC(2026, 5, 25, 21, 20, 5)}000000`);
});
