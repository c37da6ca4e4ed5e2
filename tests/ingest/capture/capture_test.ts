import assert from "node:assert/strict";
import { DatabaseSync } from "node:sqlite";
import { Capture } from "../../../lib/ingest/capture/capture.ts";
import type { CaptureTimes } from "../../../lib/ingest/capture/capture_times.ts";
import { Outbox } from "../../../lib/ingest/outbox/outbox.ts";
import { HOUSE } from "../../simulator/sample_house.ts";
import { SimulatedHomeAssistant, type SimulationOptions } from "../../simulator/home_assistant.ts";
import { TemporaryFolder } from "../../temporary.ts";
import { until } from "../../until.ts";
import {
  capturedLines as captured,
  capturedTexts as texts,
  type Capturing,
  capturing as capturingOf,
  connected,
  FILLING,
  TIMES,
} from "./capturing.ts";
import { rowsOf } from "../outbox/rows.ts";

interface Setup extends Capturing {
  readonly hass: SimulatedHomeAssistant;
}

/** Captures from a simulated Home Assistant for as long as the test takes. */
async function capturing(
  test: (setup: Setup) => Promise<void>,
  { simulation = {}, token, times = TIMES, source }: {
    simulation?: SimulationOptions;
    token?: (hass: SimulatedHomeAssistant) => string;
    times?: CaptureTimes;
    source?: string;
  } = {},
): Promise<void> {
  using folder = new TemporaryFolder();
  await using hass = new SimulatedHomeAssistant({ recorder: false, ...simulation }).start();
  const hassToken = () => token?.(hass) ?? hass.token;
  await capturingOf(
    hass,
    folder.file("outbox.sqlite"),
    (setup) => test({ hass, ...setup }),
    { hassToken, source, times },
  );
}

Deno.test("Capture spools every event byte for byte and in order, with the names of its entity", async () => {
  for (const version of ["2024.3.3", "2025.4.4", "2026.11.0"] as const) {
    await capturing(async (setup) => {
      await connected(setup);
      const { hass } = setup;
      const before = hass.fired.length;
      await hass.burst({ n: 5_000, entities: 50 });
      hass.setState("light.kitchen", "on", { n: 1.5 });
      hass.fire("my_event", { text: '☃ "quoted" \\ \n' });
      const fired = hass.fired.slice(before).map(({ text }) => text);
      await until(() => texts(setup).at(-1) === fired.at(-1), "all is spooled");
      const spooled = texts(setup);
      assert.deepEqual(spooled.slice(-fired.length), fired);
    }, { simulation: { version } });
  }
});

Deno.test("Capture gives events the names of the registry, and says who they are", async () => {
  await capturing(async (setup) => {
    await connected(setup);
    const { hass, outbox } = setup;
    const entity = [...hass.registries.entities.values()].find(({ entity_id }) =>
      entity_id.startsWith("sensor.")
    );
    assert.ok(entity);
    hass.setState(entity.entity_id, "21.5");
    hass.setState("sensor.from_rest", "1", { friendly_name: "From REST" });
    await until(
      () => texts(setup).some((text) => text?.includes("sensor.from_rest")),
      "it is spooled",
    );
    const lineOf = (entityId: string) =>
      captured(setup).find((line) => line.includes(`"data":{"entity_id":"${entityId}"`)) ?? "";
    const { registry, source } = JSON.parse(lineOf(entity.entity_id));
    assert.ok(registry.name && registry.area, JSON.stringify(registry));
    assert.equal(source, "my house");
    assert.deepEqual(JSON.parse(lineOf("sensor.from_rest")).registry, { name: "From REST" });
    await until(() => outbox.meta("registry") !== undefined, "the registry is kept");
    const infos = rowsOf(outbox.waiting.next.peek({ maxEvents: 1e6, maxBytes: 1e12 }))
      .filter(({ line }) => line.includes('"via":"registry"'))
      .map(({ line }) => JSON.parse(line).event.data.entity_id);
    assert.deepEqual(
      [...new Set(infos)].toSorted(),
      [...hass.registries.entities.keys()].toSorted(),
    );
  }, { simulation: { house: HOUSE }, source: "my house" });
});

Deno.test("Capture learns new names from the registry's events, fetched once for many", async () => {
  await capturing(async (setup) => {
    await connected(setup);
    const { hass, outbox } = setup;
    await until(() => outbox.meta("registry") !== undefined, "the first names are there");
    const fetches = () =>
      hass.received.filter((message) =>
        JSON.stringify(message).includes("config/entity_registry/list")
      ).length;
    const before = fetches();
    const [area] = hass.registries.areas.values();
    assert.ok(area);
    for (let i = 0; i < 20; i++) hass.renameArea(area.area_id, `Name ${i}`);
    await until(() => outbox.meta("registry")?.includes("Name 19"), "the last name is learnt");
    assert.ok(fetches() - before <= 2, `${fetches() - before} fetches`);
    const changed = rowsOf(outbox.waiting.next.peek({ maxEvents: 1e6, maxBytes: 1e12 }))
      .filter(({ line }) => line.includes('"via":"registry"') && line.includes("Name 19"));
    assert.ok(changed.length > 0);
  }, { simulation: { house: HOUSE } });
});

Deno.test("Capture connects again after a restart, however the socket ended", async () => {
  for (const version of ["2024.3.3", "2025.4.4", "2026.11.0"] as const) {
    await capturing(async (setup) => {
      await connected(setup);
      await setup.hass.restart({ downMs: 50 });
      await connected(setup, 2);
      setup.hass.cutClients();
      await connected(setup, 3);
      setup.hass.fire("after_all", {});
      await until(
        () => texts(setup).some((text) => text?.includes("after_all")),
        "it captures again",
      );
    }, { simulation: { version } });
  }
});

Deno.test("Capture notices a socket on which nothing comes any more", async () => {
  const times = { ...TIMES, silenceMs: 60, pongDeadlineMs: 60 };
  await capturing(async (setup) => {
    await connected(setup);
    setup.hass.halfOpen();
    await connected(setup, 2);
  }, { times });
});

Deno.test("Capture stays connected through silence that a ping breaks", async () => {
  const times = { ...TIMES, silenceMs: 30, pongDeadlineMs: 5_000 };
  await capturing(async (setup) => {
    await connected(setup);
    const pings = () =>
      setup.hass.received.filter((m) => JSON.stringify(m).includes('"ping"')).length;
    await until(() => pings() >= 5, "it was asked often");
    assert.equal(setup.capture.connections, 1);
  }, { times });
});

Deno.test("Capture tells a refused token, tries slowly, and recovers without a restart", async () => {
  let token = "wrong";
  await capturing(async (setup) => {
    const { capture } = setup;
    await until(() => capture.state.kind === "token refused", "the refusal is told");
    assert.ok("reason" in capture.state);
    assert.match(capture.state.reason, /Invalid access token/);
    token = setup.hass.token;
    await connected(setup);
  }, { token: () => token });
});

Deno.test("Capture has states and registry changes where the token is no administrator's", async () => {
  await capturing(async (setup) => {
    await connected(setup);
    const { hass, capture } = setup;
    assert.ok(capture.state.kind === "capturing");
    assert.equal(capture.state.events, "states");
    hass.fire("hidden", {});
    hass.setState("sensor.seen", "1");
    await until(
      () => texts(setup).some((text) => text?.includes("sensor.seen")),
      "a state is spooled",
    );
    assert.ok(!texts(setup).some((text) => text?.includes('"hidden"')));
  }, { token: (hass) => hass.plainToken });
});

Deno.test("Capture asks for coalesced messages before anything else", async () => {
  await capturing(async (setup) => {
    await connected(setup);
    const [first] = setup.hass.received;
    assert.deepEqual(first, {
      id: 1,
      type: "supported_features",
      features: { coalesce_messages: 1 },
    });
  });
});

Deno.test("Capture waits for a Home Assistant that is starting and answers late", async () => {
  await capturing(async (setup) => {
    await connected(setup);
    await setup.hass.stop();
    await until(() => setup.capture.state.kind === "disconnected", "the loss is noticed");
    setup.hass.slowSubscribe(200);
    setup.hass.start();
    await connected(setup, 2);
  });
});

Deno.test("Capture gives up on a Home Assistant that opens and says nothing", async () => {
  const times = { ...TIMES, openDeadlineMs: 50 };
  await capturing(async (setup) => {
    await connected(setup);
    setup.hass.hang();
    setup.hass.cutClients();
    await until(
      () => "reason" in setup.capture.state && /did not answer/.test(setup.capture.state.reason),
      "the silence is told",
    );
    setup.hass.resume();
    await connected(setup, 2);
  }, { times });
});

Deno.test("Capture works below a path prefix", async () => {
  await capturing(async (setup) => void await connected(setup), {
    simulation: { prefix: "/home" },
  });
});

Deno.test("Capture counts a message that it cannot read, and loses none beside it", async () => {
  using folder = new TemporaryFolder();
  const event = (n: number) => `{"type":"event","event":{"event_type":"e${n}","data":{}},"id":9}`;
  await using server = Deno.serve(
    { hostname: "127.0.0.1", port: 0, onListen: () => {} },
    (request) => {
      const { socket, response } = Deno.upgradeWebSocket(request);
      socket.onopen = () => socket.send('{"type":"auth_required","ha_version":"1"}');
      socket.onmessage = ({ data }) => {
        const { id, type } = JSON.parse(data);
        if (type === "auth") socket.send('{"type":"auth_ok","ha_version":"1"}');
        else socket.send(`{"id":${id},"type":"result","success":true,"result":[]}`);
        if (type === "subscribe_events") socket.send(`[${event(1)},{"type":7},${event(2)}]`);
      };
      return response;
    },
  );
  using outbox = new Outbox({
    path: folder.file("outbox.sqlite"),
    maxBytes: 100_000_000,
    onFailure: assert.ifError,
  });
  const hassUrl = `http://127.0.0.1:${server.addr.port}`;
  const capture = new Capture({
    hassUrl,
    hassToken: () => "t",
    outbox,
    importDays: 0,
    snapshotMinutes: 0,
    times: TIMES,
    fillingTimes: FILLING,
  });
  const stop = new AbortController();
  const running = capture.run(stop.signal);
  await until(() => outbox.counters().received === 2, "both neighbours are spooled");
  assert.equal(capture.malformed, 1);
  stop.abort();
  await running;
});

Deno.test("Capture that is lost between two subscriptions leaves a gap of what it had begun to hear", async () => {
  using folder = new TemporaryFolder();
  const state =
    '{"entity_id":"a.b","state":"1","attributes":{},"last_updated":"2026-01-01T00:00:00+00:00"}';
  const event =
    '{"event_type":"state_changed","data":{"entity_id":"a.b","old_state":null,"new_state":' +
    `${state}},"origin":"LOCAL","time_fired":"2026-01-01T00:00:00+00:00"}`;
  let subscriptions = 0;
  await using server = Deno.serve({
    hostname: "127.0.0.1",
    port: 0,
    onListen: () => {},
  }, (request) => {
    const { socket, response } = Deno.upgradeWebSocket(request);
    socket.onopen = () => socket.send('{"type":"auth_required","ha_version":"1"}');
    socket.onmessage = ({ data }) => {
      const { id, type, event_type } = JSON.parse(data);
      if (type === "auth") return socket.send('{"type":"auth_ok","ha_version":"1"}');
      if (type !== "subscribe_events") {
        return socket.send(`{"id":${id},"type":"result","success":true,"result":[]}`);
      }
      if (event_type === undefined) {
        const error = '{"code":"unauthorized","message":"Unauthorized"}';
        return socket.send(`{"id":${id},"type":"result","success":false,"error":${error}}`);
      }
      if (event_type !== "state_changed") return socket.close();
      subscriptions++;
      socket.send(`{"id":${id},"type":"result","success":true,"result":null}`);
      if (subscriptions === 1) socket.send(`{"type":"event","event":${event},"id":${id}}`);
    };
    return response;
  });
  using outbox = new Outbox({
    path: folder.file("outbox.sqlite"),
    maxBytes: 100_000_000,
    onFailure: assert.ifError,
  });
  const capture = new Capture({
    hassUrl: `http://127.0.0.1:${server.addr.port}`,
    hassToken: () => "t",
    outbox,
    importDays: 0,
    snapshotMinutes: 0,
    times: TIMES,
    fillingTimes: FILLING,
  });
  const stop = new AbortController();
  const running = capture.run(stop.signal);
  await until(() => subscriptions >= 2, "it has come back");
  const atUs = Date.parse("2026-01-01T00:00:00Z") * 1_000;
  assert.equal(outbox.chain.opened?.fromUs, atUs);
  assert.equal(outbox.chain.seen.last("a.b")?.lastUpdatedUs, atUs);
  stop.abort();
  await running;
});

/** An outbox of which a part can be read so often, and then no more. */
class BrokenOutbox extends Outbox {
  brokenKey = "";
  soundReads = 0;

  override meta(key: string): string | undefined {
    if (key !== this.brokenKey || this.soundReads-- > 0) return super.meta(key);
    using db = new DatabaseSync(":memory:");
    db.exec("SELECT * FROM what_is_not_there");
    return undefined;
  }
}

Deno.test("Capture ends where the outbox's file fails it, whoever works with it, and blames nobody else", async () => {
  // read by the snapshots, by capture itself, and the second time by the filling
  const parts = [["state_snapshot", 0], ["imported", 0], ["imported", 1]] as const;
  for (const [brokenKey, soundReads] of parts) {
    using folder = new TemporaryFolder();
    await using hass = await new SimulatedHomeAssistant({ recorder: false }).start();
    const path = folder.file("outbox.sqlite");
    using outbox = new BrokenOutbox({ path, maxBytes: 100_000_000, onFailure: assert.ifError });
    const capture = new Capture({
      hassUrl: hass.url,
      hassToken: () => hass.token,
      outbox,
      importDays: 0,
      snapshotMinutes: 60,
      times: TIMES,
      fillingTimes: FILLING,
    });
    const stop = new AbortController();
    const running = capture.run(stop.signal);
    Object.assign(outbox, { brokenKey, soundReads });
    const tooLong = setTimeout(() => stop.abort(), 30_000);
    await assert.rejects(running, /no such table: what_is_not_there/);
    clearTimeout(tooLong);
    stop.abort();
  }
});
