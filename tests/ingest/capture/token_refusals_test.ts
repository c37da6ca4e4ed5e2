import assert from "node:assert/strict";
import { captureHealth } from "../../../lib/ingest/ingest_health.ts";
import { RefusingHomeAssistant } from "../../stand_ins/refusing_home_assistant.ts";
import { TemporaryFolder } from "../../temporary.ts";
import { until } from "../../until.ts";
import { capturing, connected, hears, TIMES } from "./capturing.ts";

function started(): RefusingHomeAssistant {
  return new RefusingHomeAssistant({ recorder: false }).start();
}

/** A token that can be changed, and counts how often it was read. */
class Token {
  reads = 0;
  constructor(public text: string) {}
  readonly read = (): string => {
    this.reads++;
    if (this.text === "") throw new Error("the file must not be empty");
    return this.text;
  };

  /** Resolves after it was read so many times more. */
  async readAgain(times: number): Promise<void> {
    const wanted = this.reads + times;
    await until(() => this.reads >= wanted, "the token is read again and again");
  }
}

Deno.test("A refused token is tried twice, and then only when its text changes", async () => {
  using folder = new TemporaryFolder();
  await using hass = started();
  const token = new Token("wrong");
  await capturing(hass, folder.file("outbox.sqlite"), async (setup) => {
    const { capture } = setup;
    await until(() => hass.logins.length === 2, "it is tried twice");
    // fifty looks take five times the wait between two attempts
    await token.readAgain(50);
    assert.deepEqual(hass.logins, ["wrong", "wrong"]);
    assert.ok(capture.state.kind === "token refused" && capture.state.heldBack);

    token.text = "wrong too";
    await until(() => hass.logins.length === 4, "the other one is tried twice");
    await token.readAgain(50);
    assert.deepEqual(hass.logins.slice(2), ["wrong too", "wrong too"]);

    token.text = hass.token;
    await connected(setup);
    await hears(hass, setup, "sensor.after");
    assert.equal(hass.logins.length, 5);
  }, { hassToken: token.read });
});

Deno.test("A refused token that can be read no more is said to be so, and still not tried", async () => {
  using folder = new TemporaryFolder();
  await using hass = started();
  const token = new Token("wrong");
  await capturing(hass, folder.file("outbox.sqlite"), async ({ capture }) => {
    const isHeldBack = () => capture.state.kind === "token refused" && capture.state.heldBack;
    await until(isHeldBack, "it is held back");
    token.text = "";
    await until(() => capture.state.kind === "disconnected", "the fault is told");
    assert.match(capture.state.kind === "disconnected" ? capture.state.reason : "", /not be empty/);
    token.text = "wrong";
    await until(isHeldBack, "it is held back again");
    await token.readAgain(20);
    assert.deepEqual(hass.logins, ["wrong", "wrong"]);
  }, { hassToken: token.read });
});

Deno.test("A refused token is tried again after a day, once", async () => {
  using folder = new TemporaryFolder();
  await using hass = started();
  const token = new Token("wrong");
  const times = { ...TIMES, heldBackMs: 1_000 };
  await capturing(hass, folder.file("outbox.sqlite"), async () => {
    await until(() => hass.logins.length === 2, "it is tried twice");
    const secondMs = performance.now();
    await until(() => hass.logins.length === 3, "it is tried again");
    assert.ok(performance.now() - secondMs > 900);
    await token.readAgain(20);
    assert.equal(hass.logins.length, 3);
  }, { hassToken: token.read, times });
});

Deno.test("A login that succeeds clears what was refused before", async () => {
  using folder = new TemporaryFolder();
  await using hass = started();
  const times = { ...TIMES, refusedWaitMs: 300 };
  await capturing(hass, folder.file("outbox.sqlite"), async (setup) => {
    const { capture } = setup;
    await connected(setup);
    for (let time = 2; time <= 4; time++) {
      await hass.refuseToken(true);
      await until(() => capture.state.kind === "token refused", "the refusal is told");
      assert.ok(capture.state.kind === "token refused" && !capture.state.heldBack, `${time}`);
      await hass.refuseToken(false);
      await connected(setup, time);
    }
    const before = hass.logins.length;
    await hass.refuseToken(true);
    await until(
      () => capture.state.kind === "token refused" && capture.state.heldBack,
      "it is held back",
    );
    assert.equal(hass.logins.length - before, 2);
  }, { times });
});

Deno.test("The token of an app is tried on and on: the Supervisor bans nobody", async () => {
  using folder = new TemporaryFolder();
  await using hass = started();
  await hass.refuseToken(true);
  await capturing(hass, folder.file("outbox.sqlite"), async (setup) => {
    await until(() => hass.logins.length === 5, "it is tried five times");
    await hass.refuseToken(false);
    await connected(setup);
  }, { hassTokenOrigin: "supervisor" });
});

Deno.test("Health says what makes a new token count, wherever the token is given", () => {
  const hassUrl = "http://hass:8123";
  const sentences = (["variable", "file", "credential", "supervisor"] as const).map(
    (hassTokenOrigin) =>
      captureHealth(
        { kind: "token refused", reason: "Invalid access token or password", heldBack: true },
        { hassUrl, hassTokenOrigin },
      ),
  );
  for (const said of sentences) {
    assert.match(
      said?.reason ?? "",
      /refused HASS_TOKEN: Invalid .*; it is now tried only once a day/,
    );
  }
  assert.match(sentences[0]?.action ?? "", /new long-lived .* set HASS_TOKEN .* restart ingest$/);
  assert.match(sentences[1]?.action ?? "", /new long-lived .* HASS_TOKEN_FILE, .* every 10 s$/);
  assert.match(sentences[2]?.action ?? "", /new long-lived .* credential .* restart ingest$/);
  assert.match(sentences[3]?.action ?? "", /^restart this app/);
  const once = captureHealth(
    { kind: "token refused", reason: "Invalid access token or password", heldBack: false },
    { hassUrl, hassTokenOrigin: "file" },
  );
  assert.doesNotMatch(once?.reason ?? "", /once a day/);
});

Deno.test("Health says how a ban is lifted", async () => {
  using folder = new TemporaryFolder();
  await using hass = started();
  // as Home Assistant's ban_middleware answers
  let status = 403;
  await using front = Deno.serve(
    { hostname: "127.0.0.1", port: 0, onListen: () => {} },
    () => new Response(`${status}: Forbidden`, { status }),
  );
  const hassUrl = `http://127.0.0.1:${front.addr.port}`;
  await capturing(hass, folder.file("outbox.sqlite"), async ({ capture }) => {
    const action = () => captureHealth(capture.state, { hassUrl, hassTokenOrigin: "file" })?.action;
    await until(() => /ip_bans\.yaml/.test(action() ?? ""), "the ban is told");
    status = 502;
    await until(() => /see that Home Assistant runs/.test(action() ?? ""), "another fault is told");
  }, { hassUrl });
});
