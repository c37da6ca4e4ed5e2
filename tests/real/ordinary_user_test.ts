import assert from "node:assert/strict";
import { HomeAssistant, oldestAndNewestVersions } from "./parts/home_assistant.ts";
import { total } from "./parts/metrics_text.ts";
import { ordinaryUser } from "./parts/onboarding.ts";
import { startEnrich, startIngest } from "./parts/programs.ts";
import { measured, realTest } from "./parts/real_test_case.ts";
import { until } from "../until.ts";

realTest(
  "The token of an ordinary user captures states, whatever else it may not have",
  async () => {
    for (const version of await oldestAndNewestVersions()) {
      await using hass = await HomeAssistant.start({ version, minimal: true });
      const token = await ordinaryUser(hass.url, hass.token);
      await using enrich = await startEnrich({});
      await using ingest = await startIngest({
        HASS_URL: hass.url,
        HASS_TOKEN: token,
        ENRICHMENT_SERVICE_URL: enrich.url,
      });
      await ingest.untilReady();
      await hass.setState("sensor.seen", { state: "1" });
      await until(
        async () => total(await ingest.metrics(), "ingest_events_delivered_total") > 0,
        "events are delivered",
      );
      // what every ordinary user may have of each release
      const unheard = /HASS_TOKEN may not have (.*) either/.exec(ingest.output)?.[1];
      const expected = version === "2024.3.3"
        ? "floor_registry_updated, label_registry_updated"
        : undefined;
      assert.equal(unheard, expected);
      assert.equal(total(await ingest.metrics(), "ingest_connections_total"), 1);
      assert.ok(!/Cannot read config/.test(ingest.output), "every list may be read");
      measured(`an ordinary user of ${version} does not hear: ${unheard ?? "nothing is missing"}`);
    }
  },
);
