/** `enrich check`, as it is typed, against a real InfluxDB 2: by its own API and by that of 1.x. */
import assert from "node:assert/strict";
import * as z from "zod";
import { InfluxDb } from "../../lib/enrich/influxdb/influxdb.ts";
import { check, faultsOf } from "./parts/checks.ts";
import { Influxd2 } from "./parts/influxd2.ts";
import { realTest } from "./parts/real_test_case.ts";

const idSchema = z.object({ id: z.string() });
const orgsSchema = z.object({ orgs: z.array(idSchema).nonempty() });

async function api({ env, url }: Influxd2, path: string, body?: object): Promise<unknown> {
  const response = await fetch(`${url}/api/v2/${path}`, {
    headers: { authorization: `Token ${env.INFLUXDB_TOKEN}` },
    ...(body && { method: "POST", body: JSON.stringify(body) }),
  });
  assert.ok(response.ok, `${path}: ${response.status}`);
  return response.json();
}

const FAIL = "FAIL  Cannot write to InfluxDB: it answered";
const okOf = (target: string) => [
  `ok    The settings can be read: SCHEMA=tidy, ATTRIBUTES=standard, ${target}`,
  "ok    enrich can listen on 127.0.0.1:0",
];
const CLOCK = "ok    InfluxDB's clock and this machine's agree";

realTest(
  "enrich check takes an organization of a real InfluxDB 2 by its name or its id",
  async () => {
    await using influxd = await Influxd2.start();
    const { env } = influxd;
    const { orgs: [{ id }] } = orgsSchema.parse(await api(influxd, "orgs?org=home"));
    for (const INFLUXDB_ORG of [env.INFLUXDB_ORG, id, id.toUpperCase()]) {
      const INFLUXDB_BUCKET = `made by ${INFLUXDB_ORG}`;
      const named = { ...env, INFLUXDB_ORG, INFLUXDB_BUCKET };
      const missing = await check("enrich check", named);
      assert.equal(missing.status, 1);
      assert.deepEqual(faultsOf(missing), [
        `${FAIL} 404 (bucket "${INFLUXDB_BUCKET}" not found); create it by "enrich check --create", ` +
        "or correct INFLUXDB_BUCKET",
      ]);
      const made = await check("enrich check --create", named);
      assert.equal(made.status, 0, made.lines.join("\n"));
      assert.equal(
        made.lines[4],
        `ok    Bucket ${INFLUXDB_BUCKET} is made, and keeps points forever`,
      );
      const well = await check("enrich check --create", named);
      assert.deepEqual(well, {
        status: 0,
        lines: [
          ...okOf(`INFLUXDB_BUCKET=${INFLUXDB_BUCKET}, INFLUXDB_ORG=${INFLUXDB_ORG}`),
          `ok    InfluxDB 2 answers at ${influxd.url}`,
          "ok    INFLUXDB_TOKEN is accepted",
          `ok    Bucket ${INFLUXDB_BUCKET} exists`,
          "ok    It takes points",
          CLOCK,
        ],
      });
      const store = new InfluxDb({
        url: influxd.url,
        version: 2,
        org: INFLUXDB_ORG,
        bucket: INFLUXDB_BUCKET,
        token: () => env.INFLUXDB_TOKEN,
      });
      assert.equal(await store.create(new AbortController().signal), false, "there is one already");
      store.close();
    }

    // one that is called as if that were an id
    const name = "00c0ffee00c0ffee";
    const other = idSchema.parse(await api(influxd, "orgs", { name }));
    await api(influxd, "buckets", { orgID: other.id, name: "theirs", retentionRules: [] });
    const theirs = { ...env, INFLUXDB_BUCKET: "theirs" };
    const byName = await check("enrich check --create", { ...theirs, INFLUXDB_ORG: name });
    assert.deepEqual(faultsOf(byName), [
      `${FAIL} 404 (organization not found); correct INFLUXDB_ORG: 16 hexadecimal digits are an ` +
      "organization's id, even where one is called so",
    ]);
    const byId = await check("enrich check", { ...theirs, INFLUXDB_ORG: other.id });
    assert.deepEqual([byId.status, faultsOf(byId)], [0, []]);
  },
);

realTest(
  "enrich check says that a token of a real InfluxDB 2 was deactivated, or may not make a bucket",
  async () => {
    await using influxd = await Influxd2.start();
    const token = await influxd.createToken("write");
    const env = { ...influxd.env, INFLUXDB_TOKEN: token.token };
    const well = await check("enrich check", env);
    assert.equal(well.status, 0, "a token that may only write is enough");
    assert.match(
      faultsOf(well).join(),
      /^warn {2}How long Bucket home keeps points cannot be read/,
    );
    const denied = await check("enrich check --create", { ...env, INFLUXDB_BUCKET: "other" });
    assert.match(
      faultsOf(denied).join(),
      /^FAIL {2}Cannot create bucket other in organization home: .*; let INFLUXDB_TOKEN be an all-access/,
    );
    await influxd.setTokenActive(token, false);
    const inactive = await check("enrich check", env);
    assert.equal(inactive.status, 1);
    assert.deepEqual(inactive.lines.slice(okOf("").length), [
      `ok    InfluxDB 2 answers at ${influxd.url}`,
      `${FAIL} 403 (insufficient permissions for write: token is inactive); activate that token on ` +
      "InfluxDB's own pages, or set INFLUXDB_TOKEN to another one",
      CLOCK,
    ]);
    await influxd.setTokenActive(token, true);
    assert.equal((await check("enrich check", env)).status, 0);
  },
);

realTest(
  "enrich check says where a real InfluxDB 2 is written to as 1.x, and what is missing there",
  async () => {
    await using influxd = await Influxd2.start();
    const env = {
      INFLUXDB_URL: influxd.url,
      INFLUXDB_DATABASE: influxd.env.INFLUXDB_BUCKET ?? "",
      INFLUXDB_USERNAME: "joe",
      INFLUXDB_PASSWORD: influxd.env.INFLUXDB_TOKEN,
    };
    const well = [
      `ok    InfluxDB 2 (1.x API) answers at ${influxd.url}`,
      "ok    User joe is accepted",
      "ok    Database home exists",
      "ok    It takes points",
    ];
    assert.deepEqual(await check("enrich check", env), {
      status: 0,
      lines: [...okOf("INFLUXDB_DATABASE=home"), ...well, CLOCK],
    });
    const instead =
      "this is an InfluxDB 2, which knows tokens only: set INFLUXDB_USERNAME to any name and " +
      "INFLUXDB_PASSWORD to a token that may write to the bucket, or INFLUXDB_BUCKET, INFLUXDB_ORG and INFLUXDB_TOKEN in place of " +
      "INFLUXDB_DATABASE";
    const failing = async (holding: number, words: string, changed: Record<string, string>) => {
      const { status, lines } = await check("enrich check --create", { ...env, ...changed });
      assert.equal(status, 1);
      const database = changed.INFLUXDB_DATABASE ?? env.INFLUXDB_DATABASE;
      const expected = [
        ...okOf(`INFLUXDB_DATABASE=${database}`),
        ...well.slice(0, holding),
        `${FAIL} ${words}`,
        CLOCK,
      ];
      assert.deepEqual(lines, expected);
    };
    // the user's own password, as 1.x has it
    await failing(1, `401 (Unauthorized); ${instead}`, {
      INFLUXDB_PASSWORD: "password-of-the-test",
    });
    const { INFLUXDB_URL, INFLUXDB_DATABASE } = env;
    const nobody = await check("enrich check", { INFLUXDB_URL, INFLUXDB_DATABASE });
    assert.deepEqual(faultsOf(nobody), [`${FAIL} 401 (unauthorized access); ${instead}`]);
    const { token } = await influxd.createToken("read");
    await failing(3, `403 (insufficient permissions for write); ${instead}`, {
      INFLUXDB_PASSWORD: token,
    });
    await failing(
      2,
      "404 (no dbrp mapping found); this is an InfluxDB 2 where INFLUXDB_PASSWORD, a token, may write " +
        "to no bucket that is called as INFLUXDB_DATABASE says: make that bucket, or correct " +
        "INFLUXDB_DATABASE",
      { INFLUXDB_DATABASE: "nowhere" },
    );
  },
);
