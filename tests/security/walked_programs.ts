/** The programs whose routes are walked, bound in each way, and the routes that their own routers have. */
import { SmartRouter } from "hono/router/smart-router";
import { FakeInfluxDb } from "../stand_ins/fake_influxdb.ts";
import { TemporaryFolder } from "../temporary.ts";
import { startEnrich, startIngest } from "../whole_programs.ts";
import { until } from "../until.ts";
import { ProgramProcess } from "./program_process.ts";
import { rawRequest } from "./raw_request.ts";
import { type Bound, type ProgramName, type Route, TOKENS } from "./routes.ts";

export interface Walked extends AsyncDisposable {
  readonly port: number;
  /** `GET /status`, as they were added to the router; empty where the program is another process. */
  readonly routes: readonly string[];
}

/** An address that others may be meant by, as far as settings go, and that only this machine has. */
const BEYOND = "::ffff:127.0.0.1";

/** What is added to routers of hono while `start` runs, but for what stands before all routes. */
export async function addedRoutes<T>(
  start: () => T | Promise<T>,
): Promise<{ readonly started: T; readonly routes: string[] }> {
  const routes = new Set<string>();
  const add = SmartRouter.prototype.add;
  SmartRouter.prototype.add = function (method, path, handler) {
    if (method !== "ALL" || path !== "/*") routes.add(`${method} ${path}`);
    add.call(this, method, path, handler);
  };
  try {
    return { started: await start(), routes: [...routes] };
  } finally {
    SmartRouter.prototype.add = add;
  }
}

/** The program, with secrets of its own, without a Home Assistant; it ends with its folder and its store. */
export async function startWalked(name: ProgramName, bound: Bound): Promise<Walked> {
  await using resources = new AsyncDisposableStack();
  const folder = resources.use(new TemporaryFolder());
  const influx = resources.use(
    await FakeInfluxDb.start({ version: 2, token: TOKENS.influxDb }),
  );
  const env = {
    DATA_DIR: folder.path,
    ...(bound !== "loopback" && { SERVICE_TOKEN: TOKENS.service }),
    ...(name === "enrich" && {
      INFLUXDB_URL: influx.url,
      INFLUXDB_ORG: "home",
      INFLUXDB_BUCKET: "home",
      INFLUXDB_TOKEN: TOKENS.influxDb,
    }),
    ...(name === "ingest" && {
      HASS_URL: "http://127.0.0.1:1",
      HASS_TOKEN: TOKENS.homeAssistant,
      ENRICHMENT_SERVICE_URL: "http://127.0.0.1:1",
    }),
  };
  let port: number;
  let routes: readonly string[] = [];
  if (bound === "beyond loopback") {
    const host = { [`${name.toUpperCase()}_HOST`]: BEYOND };
    const process = resources.use(ProgramProcess.start(name, { ...env, ...host }, folder.path));
    port = await process.port();
  } else {
    const { started, routes: added } = await addedRoutes(() =>
      name === "ingest" ? startIngest(env) : startEnrich(env)
    );
    const program = resources.use(started);
    port = Number(new URL(program.url).port);
    routes = added;
  }
  if (name === "enrich") {
    const headers = { Authorization: `Bearer ${TOKENS.service}` };
    const ready = { path: "/health/ready", headers };
    await until(async () => (await rawRequest(port, ready)).status === 200, "enrich is ready");
  }
  const owned = resources.move();
  return { port, routes, [Symbol.asyncDispose]: () => owned.disposeAsync() };
}

/** The routes of the table that the program has. */
export function routesOf(table: readonly Route[], name: ProgramName): readonly Route[] {
  return table.filter(({ programs }) => programs.includes(name));
}
