import assert from "node:assert/strict";
import { DatabaseSync } from "node:sqlite";
import * as z from "zod";
import { parse } from "yaml";
import { TemporaryFolder } from "../temporary.ts";
import { until } from "../until.ts";
import { bakedPermissions, PERMISSIONS } from "./parts/compiled.ts";
import { prepared } from "./parts/prepared.ts";
import { PromQl } from "./parts/promql.ts";
import { Compose, done, ROOT, stop } from "./containers/compose.ts";
import { equationOf, type Metrics, parseMetrics, total } from "./parts/metrics_text.ts";
import { run } from "./parts/process.ts";
import { measured, realTest } from "./parts/real_test_case.ts";

const PROGRAMS = ["ingest", "enrich"] as const;
/** What compose.yaml gives each container, and besides nothing to write to but its volumes. */
const HARDENED = ["--read-only", "--cap-drop=ALL", "--security-opt=no-new-privileges"];
const TWO_SETTINGS = { HASS_URL: "http://127.0.0.1:8123", HASS_TOKEN: "the-token" };

const serviceSchema = z.looseObject({
  environment: z.record(z.string(), z.string()).default({}),
  ports: z.array(z.string()).default([]),
});
const composeSchema = z.object({ services: z.record(z.string(), serviceSchema) });

async function services(compose: Compose) {
  return composeSchema.parse(parse(await compose.run("none", "config"))).services;
}

function image(program: string, version = "tested"): string {
  return `localhost/ha-ingestor/${program}:${version}`;
}

realTest(
  "The images hold one compiled program, with its permissions, without a shell, for a user without privileges",
  async () => {
    const sizes: string[] = [];
    for (const program of PROGRAMS) {
      const file = `${ROOT}Dockerfile.${program}`;
      await done(
        "podman",
        "build",
        "--format=docker",
        "--layers=false",
        "--pull=never",
        "-f",
        file,
        "-t",
        image(program),
        ROOT,
      );
      const hardened = ["podman", "run", "--rm", ...HARDENED, "--network=none"];
      assert.match(
        await done(...hardened, image(program), "--version"),
        new RegExp(`^${program} \\d`),
      );
      const shell = await run([...hardened, "--entrypoint=sh", image(program), "-c", "true"]);
      assert.notEqual(shell.code, 0);
      const wrong = await run([...hardened, image(program)]);
      assert.equal(wrong.code, 2);
      assert.match(wrong.stderr, /which others can reach: set SERVICE_TOKEN/);

      using folder = new TemporaryFolder();
      const id = (await done("podman", "create", image(program))).trim();
      await done("podman", "cp", `${id}:/${program}`, folder.file(program));
      await done("podman", "rm", "--volumes", id);
      assert.deepEqual(bakedPermissions(folder.file(program)), PERMISSIONS);

      const size = await done(
        "podman",
        "image",
        "inspect",
        "-f",
        "{{.Size}} {{.User}}",
        image(program),
      );
      const [bytes, user] = size.trim().split(" ");
      assert.equal(user, "65532:65532");
      sizes.push(`${program} ${Math.round(Number(bytes) / 1e6)} MB`);
    }
    measured(`images: ${sizes.join(", ")}`);
  },
);

realTest(
  "An outbox with a table and a column of a later release opens; one of a later format is refused",
  async () => {
    using folder = new TemporaryFolder();
    await done("chown", "65532:65532", folder.path);
    const name = `outbox-${crypto.randomUUID()}`;
    const ingest = [
      "podman",
      "run",
      "--name",
      name,
      ...HARDENED,
      "--network=none",
      "-v",
      `${folder.path}:/data`,
    ];
    const env = { ...TWO_SETTINGS, SERVICE_TOKEN: "s3cret-token" };
    const settings = Object.entries(env).flatMap(([name, value]) => ["-e", `${name}=${value}`]);
    const runsAndStops = async () => {
      await done(...ingest, "-d", ...settings, image("ingest"));
      await until(
        async () => (await run(["podman", "logs", name])).stderr.includes("Listening"),
        "it runs",
      );
      assert.equal((await stop(name)).code, 0);
      await done("podman", "rm", "--volumes", name);
    };
    const change = (sql: string) => {
      using db = new DatabaseSync(folder.file("outbox.sqlite"));
      db.exec(sql);
    };
    await runsAndStops();
    change("CREATE TABLE later (a TEXT); ALTER TABLE outbox ADD COLUMN later TEXT");
    await runsAndStops();
    change("PRAGMA user_version = 99");
    const refused = await run([...ingest, "--rm", ...settings, image("ingest")]);
    assert.equal(refused.code, 1);
    assert.match(refused.stderr, /outbox\.sqlite.*99/);
    measured(`a later outbox: ${refused.stderr.trim().split("\n").at(-1)}`);
  },
);

realTest(
  "compose.yaml needs two settings, hands on every other, and hardens whatever it starts",
  async () => {
    using compose = new Compose({
      ...TWO_SETTINGS,
      COMPOSE_PROFILES: "influxdb,victoriametrics,grafana",
    });
    const all = await services(compose);
    assert.deepEqual(Object.keys(all).sort(), [
      "enrich",
      "grafana",
      "influxdb",
      "ingest",
      "secrets",
      "victoriametrics",
    ]);
    for (const [name, service] of Object.entries(all)) {
      const { cap_drop, read_only, security_opt, restart, mem_limit, pids_limit, ports } = service;
      assert.deepEqual(
        { cap_drop, read_only, security_opt, restart },
        {
          cap_drop: ["ALL"],
          read_only: true,
          security_opt: ["no-new-privileges:true"],
          restart: name === "secrets" ? "no" : "unless-stopped",
        },
        name,
      );
      assert.ok(mem_limit && pids_limit, `limits of ${name}`);
      for (const port of ports) assert.match(port, /^127\.0\.0\.1:\d+:\d+$/);
    }
    // the image sets where it listens and writes, and a volume holds what is secret
    const fixed = /^(DATA_DIR|(INGEST|ENRICH)_(HOST|PORT)|SERVICE_TOKEN)$/;
    for (const program of PROGRAMS) {
      const help = await done("podman", "run", "--rm", image(program), "--help");
      const names = [...help.matchAll(/^ {2}([A-Z][A-Z_]+) /gm)].map(([, name = ""]) => name);
      assert.ok(names.length > 8);
      const known = Object.keys(all[program]?.environment ?? {});
      assert.deepEqual(names.filter((name) => !fixed.test(name) && !known.includes(name)), []);
    }
    using alone = new Compose(TWO_SETTINGS);
    assert.equal((await services(alone)).enrich?.environment.INFLUXDB_URL, "");
    using none = new Compose({ HASS_URL: TWO_SETTINGS.HASS_URL });
    await assert.rejects(services(none), /HASS_TOKEN.*long-lived access token/s);
  },
);

/** Where enrich stores with this `.env` and this config/influxdb.yaml, as its own check says it. */
async function storeOf(env: Readonly<Record<string, string>>, yaml?: string): Promise<string> {
  using folder = composeFolder(yaml);
  const all = { ...TWO_SETTINGS, ...env, ...(yaml ? { CONFIG_FILE: "config/influxdb.yaml" } : {}) };
  using compose = new Compose(all, [], `${folder.path}/`);
  await using started = new AsyncDisposableStack();
  started.defer(() => compose.down());
  const { stdout, stderr } = await run(
    compose.words("tested", "run", "--rm", "-T", "enrich", "check"),
  );
  const said = stdout + stderr;
  const [, local, url] = /(local store) |the database at (\S+):/.exec(said) ?? [];
  const [, target] = /The settings can be read: .*?, (INFLUXDB_\w+=.*)$/m.exec(said) ?? [];
  return local ?? (url ? `${url} ${target}` : said);
}

/** What compose.yaml needs of the repository, with a config of the test's own. */
function composeFolder(yaml: string | undefined): TemporaryFolder {
  const folder = new TemporaryFolder();
  Deno.mkdirSync(folder.file("etc/containers"), { recursive: true });
  Deno.mkdirSync(folder.file("config"));
  for (const path of ["compose.yaml", "etc/containers/secrets.sh"]) {
    Deno.copyFileSync(`${ROOT}${path}`, folder.file(path));
  }
  if (yaml) Deno.writeTextFileSync(folder.file("config/influxdb.yaml"), yaml);
  return folder;
}

realTest(
  "compose.yaml gives enrich its own database only where that is started and no other is named",
  async () => {
    const own = { INFLUXDB_URL: "http://own:8086", INFLUXDB_DATABASE: "house" };
    const file = "influxdb:\n  host: own\n  database: house\n";
    const came = "http://influxdb:8086 INFLUXDB_BUCKET=home, INFLUXDB_ORG=home";
    const profiles = { COMPOSE_PROFILES: "influxdb,grafana" };
    const victoriaMetrics = "http://victoriametrics:8428 INFLUXDB_DATABASE=home";
    assert.equal(await storeOf({}), "local store");
    assert.equal(await storeOf({ COMPOSE_PROFILES: "grafana" }), "local store");
    assert.equal(await storeOf(profiles), came);
    assert.equal(await storeOf(profiles, "influxdb:\n  include: {domains: sensor}\n"), came);
    assert.equal(await storeOf({ COMPOSE_PROFILES: "victoriametrics" }), victoriaMetrics);
    assert.equal(await storeOf({ COMPOSE_PROFILES: "victoriametrics, influxdb" }), came);
    for (const profile of ["grafana", "influxdb,grafana", "victoriametrics"]) {
      const env = { COMPOSE_PROFILES: profile };
      assert.equal(await storeOf({ ...env, ...own }), "http://own:8086 INFLUXDB_DATABASE=house");
      assert.equal(await storeOf(env, file), "http://own:8086 INFLUXDB_DATABASE=house");
    }
  },
);

realTest("A CONFIG_FILE that an editor has replaced is seen inside the container", async () => {
  using folder = composeFolder("influxdb:\n  include: {domains: sensor}\n");
  const env = { ...TWO_SETTINGS, CONFIG_FILE: "./config/influxdb.yaml" };
  using compose = new Compose(env, [], `${folder.path}/`);
  await using started = new AsyncDisposableStack();
  started.defer(() => compose.down());
  await compose.run("tested", "up", "-d", "--no-build", "enrich");
  const log = async () => (await run(["podman", "logs", compose.container("enrich")])).stderr;
  await until(async () => (await log()).includes("Listening"), "it runs");
  Deno.writeTextFileSync(folder.file("config/new"), "influxdb:\n  hots: a\n  port: 1\n");
  Deno.renameSync(folder.file("config/new"), folder.file("config/influxdb.yaml"));
  await until(async () => (await log()).includes("hots is no option"), "the new file is read");
  const mounts = await done(
    "podman",
    "inspect",
    "-f",
    "{{range .Mounts}}{{.Destination}} {{.RW}},{{end}}",
    compose.container("enrich"),
  );
  assert.match(mounts, /(^|,)\/config false,/);
});

/** Which dashboards Grafana would read, and begin with. */
async function dashboardsOf({ project }: Compose): Promise<readonly string[]> {
  const volume = `${project}_grafana-secrets:/secrets:ro`;
  const words = ["podman", "run", "--rm", "--network=none", "-v", volume];
  const show = "cat /secrets/dashboards; echo; cat /secrets/home_dashboard";
  const read = await done(...words, "docker.io/library/busybox:1.37", "sh", "-c", show);
  return read.split("\n");
}

realTest(
  "compose.yaml carries events into its VictoriaMetrics, whose user has no privileges, over a restart",
  async () => {
    using folder = new TemporaryFolder();
    const busybox = (await done("podman", "create", "docker.io/library/busybox:1.37", "true"))
      .trim();
    await done("podman", "cp", `${busybox}:/bin/busybox`, folder.file("busybox"));
    await done("podman", "rm", "--volumes", busybox);
    const env = {
      ...TWO_SETTINGS,
      COMPOSE_PROFILES: "victoriametrics",
      VICTORIA_METRICS: prepared("VICTORIA_METRICS"),
      BUSYBOX: folder.file("busybox"),
    };
    using compose = new Compose(env, ["tests/real/containers/victoriametrics.test.yaml"]);
    await using started = new AsyncDisposableStack();
    started.defer(() => compose.down());
    await compose.run("tested", "up", "-d", "--no-build", "victoriametrics", "enrich");
    const shown = await compose.run("tested", "run", "--rm", "secrets", "show");
    const [, token = ""] = /password (\w{48}) \(SERVICE_TOKEN\)/.exec(shown) ?? [];
    const [, password = ""] = /user ha-ingestor, password (\w{48})/.exec(shown) ?? [];
    assert.ok(token && password, shown);

    const dashboards = "/etc/grafana/victoriametrics";
    assert.deepEqual(await dashboardsOf(compose), [dashboards, `${dashboards}/house.json`]);

    const container = compose.container("victoriametrics");
    const healthy = async () => (await run(["podman", "healthcheck", "run", container])).code === 0;
    await until(healthy, "VictoriaMetrics is healthy", { everyMs: 500 });
    const user = await done("podman", "exec", container, "sh", "-c", "id -u; touch /a || echo no");
    assert.deepEqual(user.trim().split("\n"), ["1000", "no"]);

    const url = `http://127.0.0.1:${compose.ports.victoriametrics}`;
    const refused = await fetch(`${url}/api/v1/query?query=1`);
    await refused.body?.cancel();
    assert.equal(refused.status, 401);
    const authorization = `Basic ${btoa(`ha-ingestor:${password}`)}`;
    const metrics = await fetch(`${url}/metrics`, { headers: { authorization } });
    const flags = await metrics.text();
    assert.match(flags, /^flag\{name="retentionPeriod", value="100y"/m);
    assert.match(flags, /^flag\{name="dedup.minScrapeInterval", value="1ms"/m);

    const promQl = new PromQl(url, new Headers({ authorization }));
    const seconds = Math.floor(Date.now() / 1_000) - 60;
    const send = async (n: number) => {
      const event = {
        event_type: "my_event",
        data: { n },
        origin: "LOCAL",
        time_fired: new Date((seconds + n) * 1_000).toISOString(),
      };
      const response = await fetch(`http://127.0.0.1:${compose.ports.enrich}/events`, {
        method: "POST",
        headers: { authorization: `Bearer ${token}`, "content-type": "application/json" },
        body: JSON.stringify(event),
      });
      assert.equal(response.status, 200, await response.text());
    };
    const stored = async () => {
      await promQl.flush();
      const [count] = await promQl.query("sum_over_time(events_n[10m])", seconds + 30);
      return count?.[1];
    };
    await until(async () => await send(1).then(() => true), "enrich stores", { everyMs: 500 });
    await send(2);
    assert.equal(await stored(), 1 + 2);
    await stop(container);
    await done("podman", "start", container);
    await until(healthy, "VictoriaMetrics is healthy again", { everyMs: 500 });
    await until(async () => await send(3).then(() => true), "enrich stores again", {
      everyMs: 500,
    });
    assert.equal(await stored(), 1 + 2 + 3);
  },
);

realTest(
  "compose.yaml carries a house into the database, through an upgrade, a rollback and an outage",
  async () => {
    const influxd = (await done("bash", "-c", "command -v influxd")).trim();
    using compose = new Compose(
      { ...TWO_SETTINGS, COMPOSE_PROFILES: "influxdb", INFLUXD: influxd },
      ["tests/real/containers/compose.test.yaml"],
    );
    await using started = new AsyncDisposableStack();
    // the last that needs them: the next ones would leave these without a name
    const images = PROGRAMS.flatMap((program) => [image(program), image(program, "later")]);
    started.defer(async () => void await done("podman", "rmi", ...images));
    started.defer(() => compose.down());
    for (const program of PROGRAMS) {
      const later = `FROM ${image(program)}\nLABEL release=later\n`;
      await done(
        "bash",
        "-c",
        `podman build -q --format=docker --pull=never -t ${image(program, "later")} - <<<"$1"`,
        "bash",
        later,
      );
    }
    const query = async (influxql: string) => {
      const body = new URLSearchParams({ q: influxql, db: "home" });
      const response = await fetch(`http://127.0.0.1:${compose.ports.influxdb}/query`, {
        method: "POST",
        body,
      });
      return await response.text();
    };
    await compose.run("tested", "up", "-d", "--no-build", "influxdb");
    await until(
      async () => !(await query("CREATE DATABASE home")).includes("error"),
      "the database is there",
    );
    await compose.run("tested", "up", "-d", "--no-build");

    const shown = await compose.run("tested", "run", "--rm", "secrets", "show");
    const token = /password (\w{48}) \(SERVICE_TOKEN\)/.exec(shown)?.[1];
    assert.ok(token, shown);
    const dashboards = "/etc/grafana/dashboards";
    assert.deepEqual(await dashboardsOf(compose), [dashboards, `${dashboards}/house.json`]);
    const url = `http://127.0.0.1:${compose.ports.ingest}/metrics`;
    const metrics = async (): Promise<Metrics> => {
      const response = await fetch(url, { headers: { authorization: `Bearer ${token}` } });
      const read = parseMetrics(await response.text());
      const { received, ends, text } = equationOf(read);
      assert.equal(received, ends, text);
      return read;
    };
    const refused = await fetch(url);
    await refused.body?.cancel();
    assert.equal(refused.status, 401);
    const delivered = async () => total(await metrics(), "ingest_events_delivered_total");
    const healthy = (program: string) =>
      run(["podman", "healthcheck", "run", compose.container(program)]);
    const bothHealthy = async () =>
      (await Promise.all(PROGRAMS.map(healthy))).every(({ code }) => code === 0);
    const flowsOn = async () => {
      await until(bothHealthy, "both are healthy", { everyMs: 500 });
      const before = await delivered();
      await until(async () => await delivered() > before + 20, "events are stored");
    };
    await flowsOn();
    assert.match(await query("SELECT count(available) FROM sensor GROUP BY area"), /"area":"\w+"/);

    // ingest, whose network the house shares, reaches enrich and not the database
    const reaches = async (address: string) =>
      (await run([
        "podman",
        "exec",
        compose.container("house"),
        "bash",
        "-c",
        `timeout 5 bash -c '</dev/tcp/${address}'`,
      ])).code === 0;
    assert.deepEqual([await reaches("enrich/8002"), await reaches("influxdb/8086")], [true, false]);

    await stop(compose.container("influxdb"));
    await until(async () => (await healthy("enrich")).code === 1, "enrich is unhealthy", {
      everyMs: 500,
    });
    const shownBy = await run(["podman", "exec", compose.container("enrich"), "/enrich", "health"]);
    assert.match(shownBy.stderr, /Cannot reach the database/);

    let before = total(await metrics(), "ingest_events_received_total");
    for (const version of ["later", "tested"]) {
      await compose.run(version, "up", "-d", "--no-build");
      for (const program of PROGRAMS) {
        const now = await done(
          "podman",
          "inspect",
          "-f",
          "{{.ImageName}}",
          compose.container(program),
        );
        assert.equal(now.trim(), image(program, version));
      }
      await flowsOn();
      const received = total(await metrics(), "ingest_events_received_total");
      assert.ok(received > before, "the outbox is the same");
      before = received;
    }
    const { text } = equationOf(await metrics());
    const times: string[] = [];
    for (const program of PROGRAMS) {
      const { code, ms } = await stop(compose.container(program));
      assert.equal(code, 0);
      assert.ok(ms < 5_000, `${program} took ${ms} ms`);
      times.push(`${program} ${Math.round(ms)} ms`);
    }
    measured(`containers: ${text}; stopped: ${times.join(", ")}`);
  },
);
