import assert from "node:assert/strict";
import { HassClock } from "../../../lib/ingest/hass/hass_clock.ts";
import { until } from "../../until.ts";

Deno.test("HassClock knows no time before it has heard one", () => {
  assert.equal(new HassClock().nowUs(), undefined);
});

Deno.test("HassClock goes on from the newest stamp, and never back", async () => {
  const clock = new HassClock();
  clock.hear(1_000_000_000_000_000);
  await until(() => (clock.nowUs() ?? 0) > 1_000_000_000_000_000, "its time passes");
  const nowUs = clock.nowUs() ?? 0;
  clock.hear(999_999_000_000_000);
  assert.ok((clock.nowUs() ?? 0) >= nowUs, "an older stamp does not turn it back");
  clock.hear(1_000_000_100_000_000);
  assert.ok((clock.nowUs() ?? 0) >= 1_000_000_100_000_000);
});
