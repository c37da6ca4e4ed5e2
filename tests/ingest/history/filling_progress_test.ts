import assert from "node:assert/strict";
import { Capture } from "../../../lib/ingest/capture/capture.ts";
import { FillingProgress } from "../../../lib/ingest/history/filling_progress.ts";
import { Outbox } from "../../../lib/ingest/outbox/outbox.ts";
import { SimulatedHomeAssistant } from "../../simulator/home_assistant.ts";
import { TemporaryFolder } from "../../temporary.ts";
import { until } from "../../until.ts";

const TIMES = { pollMs: 5, barrierDeadlineMs: 300, barrierMaxWaitMs: 200 };

function outboxIn(folder: TemporaryFolder): Outbox {
  const path = folder.file("outbox.sqlite");
  return new Outbox({ path, maxBytes: 200_000_000, onFailure: assert.ifError });
}

function miss(outbox: Outbox, entityId: string): void {
  outbox.append([], () =>
    outbox.missing.add({
      entityId,
      fromUs: 1_000_000,
      toUs: 2_000_000,
      beginUs: 1_000_000,
      lastState: undefined,
      proofUs: undefined,
      startsLater: false,
    }));
}

Deno.test("Missing states wait for the recorder since they could first not be read, over lost connections, until it is read", async () => {
  using folder = new TemporaryFolder();
  using outbox = outboxIn(folder);
  miss(outbox, "sensor.a");
  miss(outbox, "sensor.b");
  const progress = new FillingProgress({
    missing: outbox.missing,
    isOpen: () => false,
    nowUs: () => 3_000_000,
    rows: () => 0,
  });
  progress.wait();
  const notYet = progress.status;
  assert.deepEqual([notYet.waitingFor, notYet.waitingMs, notYet.waitingEntities], [
    undefined,
    undefined,
    0,
  ]);
  progress.wait("no answer");
  const { waitingMs: firstMs = NaN } = progress.status;
  await until(() => (progress.status.waitingMs ?? 0) > firstMs + 5, "time passes");
  // the connection ends, another one begins, and the reason is another
  progress.rest();
  assert.equal(progress.status.waitingEntities, 2);
  progress.wait();
  progress.wait("history is off");
  const { waitingFor, waitingMs = 0, waitingEntities } = progress.status;
  assert.equal(waitingFor, "history is off");
  assert.equal(waitingEntities, 2);
  assert.ok(waitingMs > firstMs + 5, `${waitingMs} after ${firstMs}`);
  progress.read();
  assert.equal(progress.status.waitingMs, undefined);
  progress.wait("no answer");
  outbox.append([], () => [1, 2].forEach((id) => outbox.missing.remove(id)));
  progress.rest();
  assert.deepEqual(progress.status.waitingFor, undefined);
});

Deno.test("That the recorder has stopped, and that it records again, is known though nothing is missing", async () => {
  await using hass = new SimulatedHomeAssistant().start();
  using folder = new TemporaryFolder();
  using outbox = outboxIn(folder);
  const capture = new Capture({
    hassUrl: hass.url,
    hassToken: () => hass.token,
    outbox,
    importDays: 0,
    snapshotMinutes: 0,
    fillingTimes: TIMES,
  });
  const stop = new AbortController();
  const running = capture.run(stop.signal);
  const { filling } = capture;
  try {
    await until(() => filling.status.state === "idle" && capture.connections === 1, "it captures");
    assert.equal(filling.status.isRecording, true);
    hass.recorder.threadRunning = false;
    await until(() => !filling.status.isRecording, "its end is known");
    hass.recorder.threadRunning = true;
    await until(() => filling.status.isRecording, "its return is known");
    assert.equal(filling.status.entities, 0);
    assert.equal(capture.connections, 1);
  } finally {
    stop.abort();
    await running;
  }
});
