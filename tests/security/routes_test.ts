import assert from "node:assert/strict";
import { Hono } from "hono";
import { enrichSettings } from "../../lib/settings/enrich_settings.ts";
import { ingestSettings } from "../../lib/settings/ingest_settings.ts";
import { ConfigError, type Environment } from "../../lib/settings/settings_reader.ts";
import { until } from "../until.ts";
import { type RawAnswer, type RawRequest, rawRequest } from "./raw_request.ts";
import {
  ABSENT_HEADERS,
  type Bound,
  CALLERS,
  CROSS_SITE,
  FOREIGN_HOSTS,
  METHODS,
  ODD_PATHS,
  OWN_HOSTS,
  OWN_SITE,
  type ProgramName,
  type Route,
  ROUTES,
  SECURITY_HEADERS,
  SIMPLE_TYPES,
  TOKENS,
} from "./routes.ts";
import { addedRoutes, routesOf, startWalked, type Walked } from "./walked_programs.ts";

const PROGRAMS: readonly ProgramName[] = ["ingest", "enrich"];
const BOUND: readonly Bound[] = ["loopback", "loopback, token", "beyond loopback"];
const RIGHT = { Authorization: `Bearer ${TOKENS.service}` };

/** The answer, once the page's streams that were asked for before have ended. */
function ask({ port }: Walked, request: RawRequest): Promise<RawAnswer> {
  return until(async () => {
    const answer = await rawRequest(port, request);
    return (request.path !== "/live" || answer.status !== 503) && answer;
  }, `${request.method} ${request.path} is answered`);
}

const pathOf = ({ path, example = path }: Route) => example;

/** The request that the route is there for. */
function requestTo(route: Route, headers: Readonly<Record<string, string>> = {}): RawRequest {
  return {
    method: route.method,
    path: pathOf(route),
    headers: {
      ...(route.body !== undefined && { "Content-Type": "application/json" }),
      ...headers,
    },
    body: route.body ?? "",
  };
}

/** Walks both programs, and collects what was not as expected; throws with all of it. */
async function walk(
  bounds: readonly Bound[],
  step: (
    name: ProgramName,
    walked: Walked,
    expect: (what: string, found: unknown, expected: unknown) => void,
    bound: Bound,
  ) => Promise<void>,
): Promise<void> {
  const wrong: string[] = [];
  let asked = 0;
  for (const name of PROGRAMS) {
    for (const bound of bounds) {
      await using walked = await startWalked(name, bound);
      await step(name, walked, (what, found, expected) => {
        asked++;
        if (found !== expected) {
          wrong.push(`${name}, ${bound}: ${what}: ${found} in place of ${expected}`);
        }
      }, bound);
    }
  }
  assert.deepEqual(wrong.slice(0, 40), [], `${wrong.length} of ${asked}`);
  assert.ok(asked > 10, `only ${asked} were asked`);
}

/** What of the answer's headers is not as it must be. */
function headerFaults({ headers }: RawAnswer): string {
  const faults = Object.entries(SECURITY_HEADERS)
    .flatMap(([name, value]) =>
      headers.get(name) === value ? [] : [`${name}: ${headers.get(name)}`]
    );
  const surplus = [...headers.keys()].filter((name) => ABSENT_HEADERS.test(name));
  return [...faults, ...surplus].join("; ");
}

Deno.test("The table of routes has every route of the programs' routers, and no other", async () => {
  for (const name of PROGRAMS) {
    await using walked = await startWalked(name, "loopback");
    const table = routesOf(ROUTES, name).map(({ method, path }) => `${method} ${path}`);
    assert.deepEqual(walked.routes.toSorted(), table.toSorted(), name);
  }
});

Deno.test("A route that is added to an app later, for any method or under a prefix, is seen", async () => {
  const { routes } = await addedRoutes(() => {
    const app = new Hono();
    app.use(async (_, next) => await next());
    app.get("/one", (c) => c.text("1"));
    app.all("/two", (c) => c.text("2"));
    app.on("PURGE", "/three", (c) => c.text("3"));
    app.route("/four", new Hono().post("/five", (c) => c.text("5")));
    app.use("/six/*", async (_, next) => await next());
  });
  for (const route of ["GET /one", "ALL /two", "PURGE /three", "POST /four/five", "ALL /six/*"]) {
    assert.ok(routes.includes(route), route);
  }
});

Deno.test("Nothing but lib/serve/listening.ts answers requests, and nothing takes a WebSocket", () => {
  const root = new URL("../../", import.meta.url);
  const files = (folder: string): string[] =>
    [...Deno.readDirSync(new URL(folder, root))].flatMap(({ name, isDirectory }) =>
      isDirectory ? files(`${folder}${name}/`) : name.endsWith(".ts") ? [`${folder}${name}`] : []
    );
  const listening = ["ingest.ts", "enrich.ts", ...files("lib/")].filter((file) =>
    /\bserve\(|createServer|\.accept\(|upgradeWebSocket/
      .test(Deno.readTextFileSync(new URL(file, root)))
  );
  assert.deepEqual(listening, ["lib/serve/listening.ts"]);
});

Deno.test("Every route answers every method and every caller as the table says", async () => {
  await walk(BOUND, async (name, walked, expect, bound) => {
    for (const route of routesOf(ROUTES, name)) {
      const others = routesOf(ROUTES, name).filter((other) => pathOf(other) === pathOf(route));
      for (const { name: caller, headers, query, expected } of CALLERS) {
        for (const method of METHODS) {
          const asked = method === "HEAD" ? "GET" : method;
          // of two routes with one path each has its own turn
          if (asked !== route.method && others.some((other) => asked === other.method)) continue;
          const request = { ...requestTo(route, headers), method };
          const answer = await ask(walked, {
            ...request,
            path: query === undefined ? request.path : `${request.path}?${query}`,
            body: ["GET", "HEAD"].includes(method) ? "" : request.body ?? "",
          });
          const answered = asked === route.method ? route.status : 404;
          const isOpen = route.who === "anybody" && asked === route.method;
          const wanted = isOpen || expected[bound] === "answered" ? answered : 401;
          // a query that holds what a route does not know is one more reason to refuse
          const status = query !== undefined && answer.status === 422 ? answered : answer.status;
          expect(`${method} ${request.path} ${caller}`, status, wanted);
          expect(`headers of ${method} ${request.path} ${caller}`, headerFaults(answer), "");
          const challenge = answer.headers.get("www-authenticate");
          expect(`challenge of ${method} ${request.path}`, challenge !== null, wanted === 401);
        }
      }
    }
  });
});

Deno.test("No spelling of a path leads past the guard", async () => {
  await walk(["loopback, token"], async (_, walked, expect) => {
    for (const path of ODD_PATHS) {
      for (const method of ["GET", "POST", "OPTIONS"]) {
        const { status } = await ask(walked, { method, path });
        // what is no path at all is refused before it gets to the guard
        expect(`${method} ${path}`, [400, 401].includes(status) || status, true);
      }
    }
  });
});

Deno.test("Without a token a foreign Host is refused everything but whether the program runs", async () => {
  await walk(["loopback"], async (name, walked, expect) => {
    const hostOf = (host: string) => ({ Host: host.replaceAll("PORT", String(walked.port)) });
    for (const route of routesOf(ROUTES, name)) {
      const of = `${route.method} ${route.path}`;
      const refused = route.who === "anybody" ? route.status : 403;
      for (const host of FOREIGN_HOSTS) {
        const { status, body } = await ask(walked, requestTo(route, hostOf(host)));
        expect(`${of} with Host: ${host}`, status, refused);
        if (route.who === "token") expect(`${of} tells nothing`, /"detail":/.test(body), true);
      }
      const { status } = await ask(walked, { ...requestTo(route), version: "1.0" });
      expect(`${of} without Host`, status, refused);
      for (const host of OWN_HOSTS) {
        const { status } = await ask(walked, requestTo(route, hostOf(host)));
        expect(`${of} with Host: ${host}`, status, route.status);
      }
    }
  });
});

Deno.test("With a token a foreign Host is no way round it", async () => {
  await walk(["loopback, token"], async (name, walked, expect) => {
    for (const route of routesOf(ROUTES, name).filter(({ who }) => who === "token")) {
      const { status } = await ask(walked, requestTo(route, { Host: "evil.example" }));
      expect(`${route.method} ${route.path}`, status, 401);
    }
  });
});

Deno.test("What a browser sends for another site's page is refused, whatever it asks for, with and without the right token", async () => {
  await walk(["loopback", "loopback, token"], async (name, walked, expect) => {
    for (const route of routesOf(ROUTES, name)) {
      const of = `${route.method} ${route.path}`;
      const refused = route.who === "anybody" ? route.status : 403;
      for (const { name: what, headers, methods } of CROSS_SITE) {
        if (!methods.includes(route.method)) continue;
        const answer = await ask(walked, requestTo(route, { ...RIGHT, ...headers }));
        expect(`${what}: ${of}`, answer.status, refused);
        expect(`headers for ${what}: ${of}`, headerFaults(answer), "");
      }
      for (const { name: what, headers, methods } of OWN_SITE) {
        if (!methods.includes(route.method)) continue;
        const { status } = await ask(walked, requestTo(route, { ...RIGHT, ...headers }));
        expect(`${what}: ${of}`, status, route.status);
      }
      const preflight = await ask(walked, {
        method: "OPTIONS",
        path: pathOf(route),
        headers: {
          ...RIGHT,
          Origin: "http://evil.example",
          "Access-Control-Request-Method": route.method,
          "Access-Control-Request-Headers": "content-type,authorization",
        },
      });
      expect(`a preflight for ${of}`, preflight.status, 403);
      expect(`headers of a preflight for ${of}`, headerFaults(preflight), "");
    }
  });
});

Deno.test("What changes something takes no body that a form of a page can send", async () => {
  await walk(["loopback", "loopback, token"], async (name, walked, expect) => {
    const changing = routesOf(ROUTES, name).filter(({ method }) => method !== "GET");
    assert.ok(changing.length > 0);
    for (const route of changing) {
      for (const type of SIMPLE_TYPES) {
        for (const body of [route.body ?? "", ""]) {
          const headers = { ...RIGHT, ...(type && { "Content-Type": type }) };
          const { status } = await ask(walked, {
            method: route.method,
            path: pathOf(route),
            headers,
            body,
          });
          expect(`${route.path} of type ${type}, ${body.length} characters`, status, 415);
        }
      }
    }
  });
});

Deno.test("No answer has a browser use https alone: whether a name is for that is its owner's to say", async () => {
  await walk(["loopback", "loopback, token"], async (name, walked, expect) => {
    for (const route of routesOf(ROUTES, name)) {
      for (const headers of [{}, RIGHT]) {
        const answer = await ask(walked, requestTo(route, headers));
        expect(route.path, answer.headers.get("strict-transport-security"), null);
      }
    }
  });
});

Deno.test("A HEAD of the page's stream leaves none open", async () => {
  await walk(["loopback"], async (_, { port }, expect) => {
    for (let i = 0; i < 40; i++) {
      expect("HEAD", (await rawRequest(port, { method: "HEAD", path: "/live" })).status, 200);
    }
    const { status, headers } = await rawRequest(port, { path: "/live" });
    expect("GET", status, 200);
    expect("GET", headers.get("content-type"), "text/event-stream");
  });
});

Deno.test("A program that others can reach does not start without a token", () => {
  const needed = { HASS_URL: "http://127.0.0.1:1", HASS_TOKEN: "token" };
  const read = { ingest: ingestSettings, enrich: enrichSettings } as const;
  for (const name of PROGRAMS) {
    const variable = `${name.toUpperCase()}_HOST`;
    for (const host of ["0.0.0.0", "::", "192.168.1.5", "house.example", "::ffff:127.0.0.1"]) {
      const env: Environment = { ...needed, [variable]: host };
      assert.throws(
        () => read[name](env),
        (error) =>
          error instanceof ConfigError && error.problems.length === 1 &&
          new RegExp(`^${variable} is ".*set SERVICE_TOKEN`).test(error.problems[0] ?? ""),
        `${name} ${host}`,
      );
      read[name]({ ...env, SERVICE_TOKEN: "token" });
    }
    for (const host of ["127.0.0.1", "localhost", "::1"]) {
      read[name]({ ...needed, [variable]: host });
    }
  }
});
