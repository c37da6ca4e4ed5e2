import assert from "node:assert/strict";
import { FrameRelay } from "../fuzz/frame_relay.ts";
import { SimulatedHomeAssistant } from "../simulator/home_assistant.ts";
import { FakeEnrich } from "../stand_ins/fake_enrich.ts";
import { until } from "../until.ts";
import { total } from "./parts/metrics_text.ts";
import { startIngest } from "./parts/programs.ts";
import { measured, realTest } from "./parts/real_test_case.ts";

const MEGABYTE = 1_048_576;
const ROUNDS = 40;
/** More frames than pass between two collections: up to eleven were seen. */
const WINDOW = 15;
/** What is held between two collections; of every second frame kept 900 MB more were seen. */
const FLAT_MB = 300;

realTest("Frames of 60 MiB that nobody can read leave ingest's memory flat", async () => {
  await using hass = new SimulatedHomeAssistant({ recorder: false }).start();
  await using relay = new FrameRelay(hass.url);
  await using enrich = new FakeEnrich();
  await using ingest = await startIngest({
    HASS_URL: relay.url,
    HASS_TOKEN: hass.token,
    ENRICHMENT_SERVICE_URL: enrich.url,
  });
  await ingest.untilReady();
  const frame = `"${"x".repeat(60 * MEGABYTE)}`;
  const heldMb: number[] = [];
  for (let round = 1; round <= ROUNDS; round++) {
    await until(() => relay.inject(frame), "it is connected");
    await until(
      async () => total(await ingest.metrics(), "ingest_frames_malformed_total") >= round,
      "it is counted",
    );
    heldMb.push((await ingest.usage()).rssMb);
  }
  measured(`held, in MB, frame by frame: ${heldMb.map(Math.round).join(" ")}`);
  const grownMb = Math.min(...heldMb.slice(-WINDOW)) - Math.min(...heldMb.slice(0, WINDOW));
  assert.ok(grownMb < FLAT_MB, `it has grown by ${Math.round(grownMb)} MB`);
});
