import assert from "node:assert/strict";
import { isPlainNumber, stateValue } from "../../../lib/enrich/tidy/value.ts";

/** Domains whose entities have a time as their state in Home Assistant 2026.11 (each one's entity.py). */
const TIME_DOMAINS = `ai_task button conversation datetime event image infrared input_button notify
  radio_frequency scene stt tts wake_word`.split(/\s+/);

/** Domain, then what each state of it is worth. */
const TABLE: readonly (readonly [string, Readonly<Record<string, number | undefined>>])[] = [
  ...[
    "automation",
    "binary_sensor",
    "calendar",
    "fan",
    "group",
    "humidifier",
    "input_boolean",
    "light",
    "remote",
    "schedule",
    "script",
    "siren",
    "switch",
    "update",
  ].map((domain) => [domain, { on: 1, off: 0, home: undefined, ON: undefined }] as const),
  ["lock", { locked: 1, unlocked: 0, unlocking: 0, jammed: 0 }],
  ["cover", { closed: 0, open: 1, opening: 1, closing: 1 }],
  ["valve", { closed: 0, open: 1 }],
  ["person", { home: 1, not_home: 0, Office: 0 }],
  ["device_tracker", { home: 1, not_home: 0 }],
  ["climate", { off: 0, heat: 1, auto: 1 }],
  ["water_heater", { off: 0, eco: 1 }],
  ["media_player", { off: 0, standby: 0, idle: 1, playing: 1 }],
  ["vacuum", { cleaning: 1, docked: 0 }],
  ["lawn_mower", { mowing: 1, docked: 0 }],
  ["timer", { active: 1, idle: 0, paused: 0 }],
  ["alarm_control_panel", { disarmed: 0, armed_away: 1, triggered: 1 }],
  ["sun", { above_horizon: 1, below_horizon: 0, noon: undefined }],
  ["sensor", { on: undefined, home: undefined, "": undefined }],
  ["input_datetime", { "2026-11-23T17:24:37+00:00": undefined }],
];

Deno.test("stateValue gives every domain's states the value of the table", () => {
  for (const [domain, states] of TABLE) {
    for (const [state, value] of Object.entries(states)) {
      assert.equal(stateValue(domain, undefined, state), value, `${domain} ${state}`);
    }
    assert.equal(stateValue(domain, undefined, "unavailable"), undefined, domain);
    assert.equal(stateValue(domain, undefined, "unknown"), undefined, domain);
    assert.equal(stateValue(domain, undefined, "12.5"), 12.5, domain);
  }
});

Deno.test("stateValue reads numbers as they are written, and nothing that only resembles one", () => {
  const numbers = { "007": 7, "+49": 49, "1e5": 1e5, "12.": 12, ".5": 0.5, "-1.5E-3": -0.0015 };
  for (const [text, value] of Object.entries(numbers)) {
    assert.equal(stateValue("sensor", undefined, text), value, text);
  }
  const none = ["", " 7", "7\n", "0x10", "1_000", "١٢", "nan", "inf", "1e999", "1e", ".", "1,5"];
  for (const text of none) assert.equal(stateValue("sensor", undefined, text), undefined, text);
});

Deno.test("stateValue reads times as Unix seconds, to the microsecond", () => {
  const at = "2026-11-23T18:24:37.274561+01:00";
  assert.equal(stateValue("sensor", "timestamp", at), 1795454677.274561);
  assert.equal(stateValue("sensor", "uptime", at), 1795454677.274561);
  assert.equal(stateValue("sensor", "uptime", "never"), undefined);
  for (const domain of TIME_DOMAINS) {
    assert.equal(stateValue(domain, undefined, at), 1795454677.274561, domain);
    assert.equal(stateValue(domain, undefined, "never"), undefined, domain);
  }
  assert.equal(stateValue("date", undefined, at), undefined);
  assert.equal(stateValue("sensor", "up_time", at), undefined);
  assert.equal(stateValue("sensor", "date", at), undefined);
});

Deno.test("stateValue takes who is in a zone within home for at home", () => {
  const valueIn = (domain: string, state: string, zones: unknown) =>
    stateValue(domain, undefined, state, { in_zones: zones });
  for (const domain of ["person", "device_tracker"]) {
    assert.equal(valueIn(domain, "Garden", ["zone.garden", "zone.home"]), 1, domain);
    assert.equal(valueIn(domain, "home", []), 1, domain);
    assert.equal(valueIn(domain, "Office", ["zone.office"]), 0, domain);
    assert.equal(valueIn(domain, "not_home", []), 0, domain);
    for (const odd of [null, "zone.home", { "zone.home": 1 }, [["zone.home"]]]) {
      assert.equal(valueIn(domain, "Garden", odd), 0, JSON.stringify(odd));
    }
    assert.equal(valueIn(domain, "unavailable", ["zone.home"]), undefined, domain);
  }
  assert.equal(valueIn("sensor", "Garden", ["zone.home"]), undefined);
});

Deno.test("stateValue does not hang on digits without end", () => {
  const startMs = performance.now();
  assert.equal(stateValue("sensor", undefined, `${"1".repeat(200_000)}x`), undefined);
  assert.ok(performance.now() - startMs < 1_000);
});

Deno.test("isPlainNumber holds for what a float gives back as it stood", () => {
  const plain = [
    "0",
    "-0",
    "21",
    "-21.50",
    "0.001",
    "123456789012345",
    "-12345.6789012345",
    "21.416666666666668",
    "-1234567.890123456",
    "0.30000000000000004",
    "1234567890123456",
    "1234567890123456.0",
  ];
  for (const text of plain) assert.ok(isPlainNumber(text), text);
  const others = [
    "007",
    "+4915112345",
    "1e5",
    "1.",
    ".5",
    "9007199254740993",
    "12345678901234567000",
    "21.4166666666666680",
    "0.00001234567890123456",
    "0.10000000000000001",
  ];
  for (const text of [...others, "", "on", "1\n", "--1"]) assert.ok(!isPlainNumber(text), text);
});
