import assert from "node:assert/strict";
import { Outbox } from "../../../lib/ingest/outbox/outbox.ts";
import { FakeEnrich } from "../../stand_ins/fake_enrich.ts";
import { TemporaryFolder } from "../../temporary.ts";
import { startIngest } from "../../whole_programs.ts";

const LINE = `{"event":{"event_type":"x","data":{"text":"${"y".repeat(1_000)}"},"origin":"LOCAL",` +
  `"time_fired":"2026-06-25T21:20:05+00:00"}}`;

/** An outbox of some megabytes whose first pages are sound. */
function damagedBeyondItsStart(path: string): void {
  const outbox = new Outbox({
    path,
    maxBytes: 50_000_000,
    onFailure: (error) => assert.fail(String(error)),
  });
  assert.ok(outbox.append(Array.from({ length: 3_000 }, () => LINE)));
  outbox[Symbol.dispose]();
  const bytes = Deno.readFileSync(path);
  Deno.writeFileSync(path, bytes.fill(0xff, 400_000));
}

Deno.test("Ingest sets an outbox aside whose damage shows only while it runs, and the next start is a new one", async () => {
  using folder = new TemporaryFolder();
  await using enrich = new FakeEnrich();
  const path = folder.file("outbox.sqlite");
  damagedBeyondItsStart(path);
  const env = {
    DATA_DIR: folder.path,
    HASS_URL: "http://127.0.0.1:1",
    HASS_TOKEN: "token",
    ENRICHMENT_SERVICE_URL: enrich.url,
  };
  const ingest = await startIngest(env);
  await assert.rejects(
    ingest.ended,
    /outbox\.sqlite is damaged: set aside as .*outbox\.sqlite\.damaged-.*start ingest again/,
  );
  const names = [...Deno.readDirSync(folder.path)].map(({ name }) => name);
  assert.equal(
    names.filter((name) => /^outbox\.sqlite\.damaged-[^-]*-[^-]*-[^-]*Z$/.test(name)).length,
    1,
    names.join(),
  );

  await using again = await startIngest(env);
  const status = await (await again.get("/status")).json();
  assert.equal(status.events.received, 0);
});
