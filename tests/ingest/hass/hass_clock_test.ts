import assert from "node:assert/strict";
import { HassClock } from "../../../lib/ingest/hass/hass_clock.ts";
import { until } from "../../until.ts";

Deno.test("HassClock knows no time before it has heard one", () => {
  assert.equal(new HassClock().nowUs(), undefined);
});

Deno.test("HassClock goes on from the last stamp that was given just now, and goes back with Home Assistant's clock", async () => {
  const clock = new HassClock();
  clock.hear(1_000_000_000_000_000);
  await until(() => (clock.nowUs() ?? 0) > 1_000_000_000_000_000, "its time passes");
  const beganMs = performance.now();
  clock.hear(999_999_000_000_000);
  const nowUs = clock.nowUs() ?? 0;
  assert.ok(nowUs >= 999_999_000_000_000);
  assert.ok(nowUs - 999_999_000_000_000 <= (performance.now() - beganMs) * 1_000 + 1);
  clock.hear(1_000_000_100_000_000);
  assert.ok((clock.nowUs() ?? 0) >= 1_000_000_100_000_000);
});

Deno.test("HassClock counts from when a message came, where it is read later", () => {
  const clock = new HassClock();
  clock.hear(1_000_000_000_000_000, performance.now() - 60_000);
  assert.ok((clock.nowUs() ?? 0) >= 1_000_000_060_000_000);
});

Deno.test("HassClock takes a present state's stamp for the time only while it has heard nothing better", () => {
  const clock = new HassClock();
  clock.atLeast(5_000_000_000);
  clock.atLeast(4_000_000_000);
  assert.ok((clock.nowUs() ?? 0) >= 5_000_000_000, "an older one does not turn it back");
  assert.equal(clock.isHeard, false);
  clock.hear(1_000_000_000);
  assert.ok(clock.isHeard);
  clock.atLeast(6_000_000_000);
  assert.ok((clock.nowUs() ?? 0) < 5_000_000_000, "a clock that ran ahead left that stamp");
});
