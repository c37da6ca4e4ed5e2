import assert from "node:assert/strict";
import { deadLetters } from "../../../lib/ingest/dead_letters/dead_letters_command.ts";
import { Outbox } from "../../../lib/ingest/outbox/outbox.ts";
import { rememberSecret } from "../../../lib/log.ts";
import { allStored, FakeEnrich } from "../../stand_ins/fake_enrich.ts";
import { TemporaryFolder } from "../../temporary.ts";
import { until } from "../../until.ts";
import { type Program, startIngest } from "../../whole_programs.ts";

const TOKEN = "s3cret-token";
const AUTHORIZED = { headers: { authorization: `Bearer ${TOKEN}` } };

function lineOf(entityId: string, more = '"n":1.0'): string {
  return `{"event":{"event_type":"state_changed","data":{"entity_id":"${entityId}",${more}},` +
    `"time_fired":"2026-06-25T21:20:05.162552+00:00"},"registry":{"name":"Küche"}}`;
}

interface Setup {
  readonly ingest: Program;
  readonly enrich: FakeEnrich;
  readonly command: (args: string, columns?: number) => Promise<Ended>;
}

interface Ended {
  readonly status: number;
  readonly written: string;
  readonly complained: string;
}

/** Runs the command, its arguments parted by spaces. */
async function run(args: string, env: Readonly<Record<string, string>>, columns?: number) {
  let written = "";
  let complained = "";
  const status = await deadLetters(args === "" ? [] : args.split(" "), () => env, {
    write: (text) => void (written += text),
    complain: (text) => void (complained += `${text}\n`),
    columns,
    intervalMs: 2,
    lineIntervalMs: 0,
  });
  return { status, written, complained };
}

/** The whole ingest, whose outbox holds these lines; its enrich refuses all of them at first. */
async function refused(
  lines: readonly string[],
  test: (setup: Setup) => Promise<void>,
  reasonOf = (_line: string) => "field type conflict",
): Promise<void> {
  using folder = new TemporaryFolder();
  {
    const path = folder.file("outbox.sqlite");
    using outbox = new Outbox({ path, maxBytes: 50_000_000, onFailure: assert.ifError });
    assert.ok(outbox.append(lines));
  }
  await using enrich = new FakeEnrich((sent) =>
    allStored(sent, {
      status: "partial",
      stored: 0,
      problems: sent.map((line, index) => ({ index, reason: reasonOf(line) })),
    })
  );
  await using ingest = await startIngest({
    // nobody is there: what is to be delivered stands in the outbox
    HASS_URL: "http://127.0.0.1:1",
    HASS_TOKEN: "none",
    DATA_DIR: folder.path,
    ENRICHMENT_SERVICE_URL: enrich.url,
    SERVICE_TOKEN: TOKEN,
  });
  const env = { INGEST_PORT: new URL(ingest.url).port, SERVICE_TOKEN: TOKEN };
  await until(async () => (await deadIn(ingest)) === lines.length, "all are refused");
  enrich.stored.length = 0;
  await test({ ingest, enrich, command: (args, columns) => run(args, env, columns) });
}

async function deadIn(ingest: Program): Promise<number> {
  return (await (await ingest.get("/health", AUTHORIZED)).json()).dead_letters;
}

async function eventsOf(ingest: Program) {
  return (await (await ingest.get("/status", AUTHORIZED)).json()).events;
}

Deno.test("A dead letter that is replayed is stored from its very line, and counted once", async () => {
  const lines = [lineOf("sensor.a", '"n":9007199254740993'), lineOf("light.a"), lineOf("sensor.b")];
  await refused(lines, async ({ ingest, enrich, command }) => {
    const page = await (await ingest.get("/", AUTHORIZED)).text();
    assert.match(page, /<p>dead letters: 3<\/p>/);
    const metrics = await (await ingest.get("/metrics", AUTHORIZED)).text();
    assert.match(metrics, /^ingest_events_dead_lettered 3$/m);
    assert.match(metrics, /^ingest_dead_letters_oldest_age_seconds 0\.\d+$/m);

    const again = await command("replay 1");
    assert.equal(again.status, 0);
    await until(async () => (await command("list --json")).written.includes('"seq":4'), "refused");
    assert.deepEqual(enrich.requests.at(-1), lines.slice(0, 1));

    enrich.stored.length = 0;
    enrich.answering = (sent) => allStored(sent);
    const replayed = await command("replay --entity sensor.*");
    assert.deepEqual(replayed, {
      status: 0,
      written: "Replayed 2 dead letters: ingest delivers what waits\n",
      complained: "",
    });
    await until(() => enrich.stored.length === 2, "they are delivered");
    assert.deepEqual(enrich.stored, [lines[2], lines[0]]);
    const discarded = await command("discard --all");
    assert.equal(discarded.written, "Discarded 1 dead letter\n");
    await until(async () => (await eventsOf(ingest)).delivered === 2, "they are counted");
    assert.deepEqual(await eventsOf(ingest), {
      received: 3,
      delivered: 2,
      skipped: {},
      dropped: { outbox_full: 0, discarded: 1 },
      dead_lettered: 0,
      queued: 0,
    });
    assert.equal(await deadIn(ingest), 0);
    assert.equal((await command("list")).written, "No dead letter matches\n");
    const nothing = await command("discard --all");
    assert.deepEqual([nothing.status, nothing.written], [0, "No dead letter matches\n"]);
  });
});

Deno.test("The list is a table that fits the terminal, or objects a line", async () => {
  const lines = Array.from({ length: 60 }, (_, i) => lineOf(`sensor.of_a_rather_long_name_${i}`));
  lines.push('{"event":{"event_type":"call\\u001b[31m","data":{},"time_fired":"x"}}');
  const long = `field\ttype conflict ${"very ".repeat(30)}long`;
  await refused(lines, async ({ command }) => {
    const plain = await command("list");
    assert.equal(plain.status, 0, plain.complained);
    const rows = plain.written.split("\n");
    assert.match(rows[0] ?? "", /^SEQ {2}REFUSED AT {12}EVENT +REASON$/);
    assert.equal(rows.length, 1 + 50 + 1 + 2 + 1);
    assert.match(
      rows[1] ?? "",
      /^ 12 {2}\d{4}-\d\d-\d\d \d\d:\d\d:\d\dZ {2}sensor\.of_a_rather_long_name_11 {2}field type .* long$/,
    );
    assert.match(rows[50] ?? "", /^ 61 .*Z {2}call \[31m {2,}field/);
    assert.match(rows[52] ?? "", /^61 dead letters, 11 of them older: --before 12, or a higher/);
    assert.match(rows[53] ?? "", /^ 61 {2}field type conflict/);
    const narrow = await command("list --limit 3", 72);
    assert.ok(narrow.written.split("\n").every(({ length }) => length <= 72), narrow.written);
    assert.match(narrow.written, /^ 59 .*Z {2}sensor\.of_a_rather_long… {2}field type conflic…$/m);
    const older = await command("list --before 12 --limit 20 --json");
    assert.equal(older.complained, "");
    const letters = older.written.trim().split("\n").map((line) => JSON.parse(line));
    assert.deepEqual(letters.map(({ seq }) => seq), [1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11]);
    assert.equal(letters[0].reason, long);
    const newest = await command("list --json --limit 1");
    assert.equal(newest.complained, "There are 60 older: --before 61\n");
    const none = await command("list --older-than 1h --reason TYPE");
    assert.equal(none.written, "No dead letter matches\n");
    assert.match((await command("list --newer-than 1h --entity *_7")).written, /^1 dead letter, /m);
  }, () => long);
});

Deno.test("show indents the line and changes no value of it; secrets are hidden and it stays JSON", async () => {
  rememberSecret("Z3cret-9");
  const more = '"n":[1.0,1e400, -0 ,9007199254740993],"e":{ },"s":"a\\"{ }\\\\","t":"Z3cret-9",' +
    '"u":"//x","m":"me@example.org","\\u0061":"\\u0061"';
  await refused([lineOf("sensor.a", more)], async ({ command }) => {
    const { status, written } = await command("show 1");
    assert.equal(status, 0);
    const [facts = "", ...json] = written.split(/^(?={)/m);
    assert.match(facts, /^dead letter {2}1\nevent {8}state_changed sensor\.a\n/);
    assert.match(facts, /^fired {8}2026-06-25T21:20:05\.162552\+00:00\nrefused {6}20\d\d-/m);
    assert.match(facts, /^reason {7}field type conflict\n$/m);
    assert.equal(
      json.join(""),
      `{
  "event": {
    "event_type": "state_changed",
    "data": {
      "entity_id": "sensor.a",
      "n": [
        1.0,
        1e400,
        -0,
        9007199254740993
      ],
      "e": {},
      "s": "a\\"{ }\\\\",
      "t": "***",
      "u": "//x",
      "m": "me@example.org",
      "a": "\\u0061"
    },
    "time_fired": "2026-06-25T21:20:05.162552+00:00"
  },
  "registry": {
    "name": "Küche"
  }
}
`,
    );
    const exact = await command("show 1 --json");
    assert.equal(exact.written, `${lineOf("sensor.a", more).replace("Z3cret-9", "***")}\n`);
    const missing = await command("show 1 2");
    assert.equal(missing.status, 1);
    assert.equal(missing.complained, "Ingest answered 404: There is no dead letter 2\n");
  });
});

Deno.test("The command ends with 2 where it is asked wrong, and touches nothing", async () => {
  await refused([lineOf("sensor.a")], async ({ command }) => {
    const wrong = async (args: string, message: RegExp) => {
      const { status, complained } = await command(args);
      assert.equal(status, 2, args);
      assert.match(complained, message);
    };
    await wrong("", /^Say list, show, replay or discard/);
    await wrong("constructor", /^Say list, show, replay or discard, not "constructor"/);
    for (const action of ["replay", "discard"]) {
      await wrong(action, /^Say which: SEQ numbers or a selection, or else --all alone/);
      await wrong(`${action} --all 1`, /^Say which/);
      await wrong(`${action} --all --reason no`, /^Say which/);
      await wrong(`${action} one`, /^SEQ is "one"/);
      await wrong(`${action} 0`, /^SEQ must be the number of a dead letter/);
      await wrong(`${action} --older-than 7`, /^--older-than is "7": it must be an age as 30s/);
      await wrong(`${action} --newer-than 7x`, /^--newer-than is "7x"/);
      await wrong(`${action} --older-than 99999999w`, /^--older-than must be a whole number/);
      await wrong(`${action} --entity=`, /^--entity must not be empty/);
      await wrong(`${action} --limit 5`, /--limit.*see --help/);
    }
    await wrong("list 1", /see --help/);
    await wrong("list --limit 1001", /^--limit must be a whole number from 1 to 1000/);
    await wrong("list --all", /--all.*see --help/);
    await wrong("show", /^show wants SEQ numbers/);
    assert.match((await command("list")).written, /^1 dead letter, by reason/m);
    const missing = await command("replay 1 7");
    assert.equal(missing.status, 1);
    assert.match(missing.written, /^Replayed 1 dead letter:/);
    assert.match(missing.complained, /^1 of the numbers given are no dead letters that match/);
  });
  const away = await run("list", { INGEST_PORT: "1" });
  assert.equal(away.status, 1);
  assert.match(
    away.complained,
    /^Cannot reach ingest at http:\/\/127\.0\.0\.1:1 \(.*\); see that it runs, and INGEST_HOST/,
  );
  const unset = await run("list", { INGEST_PORT: "x" });
  assert.equal(unset.status, 2);
  for (const help of ["--help", "discard -h"]) {
    const { status, written } = await run(help, {});
    assert.equal(status, 0);
    assert.match(written, /^Usage: ingest dead-letters list/m);
  }
});

Deno.test("ingest dead-letters reaches the running ingest from a process of its own", async () => {
  await refused([lineOf("sensor.a")], async ({ ingest }) => {
    using folder = new TemporaryFolder();
    const { code, stdout, stderr } = await new Deno.Command(Deno.execPath(), {
      args: [
        "run",
        "--quiet",
        "--no-prompt",
        "--allow-net=127.0.0.1",
        "--allow-env",
        "--allow-read=.env",
        new URL("../../../ingest.ts", import.meta.url).pathname,
        ..."dead-letters list --json".split(" "),
      ],
      cwd: folder.path,
      env: { INGEST_PORT: new URL(ingest.url).port, SERVICE_TOKEN: TOKEN },
    }).output();
    assert.equal(code, 0, new TextDecoder().decode(stderr));
    assert.equal(JSON.parse(new TextDecoder().decode(stdout)).entity_id, "sensor.a");
  });
});
