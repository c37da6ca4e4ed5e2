/** What both programs serve: liveness, readiness, metrics and status, behind one guard. */
import { createHash, timingSafeEqual } from "node:crypto";
import { type Context, Hono, type HonoRequest, type MiddlewareHandler } from "hono";
import { HTTPException } from "hono/http-exception";
import { secureHeaders } from "hono/secure-headers";
import type { Failure } from "../contract.ts";
import { getLogger, redact, redactedJson } from "../log.ts";
import { describeError } from "../retry.ts";
import { Refusals } from "./refusals.ts";
import type { Secret } from "../settings/secret.ts";
import { isLoopback } from "../settings/settings_reader.ts";

/** What is wrong, and what to do about it. */
export interface HealthReason {
  readonly reason: string;
  readonly action: string;
}

export interface Served {
  /** `ingest` or `enrich`. */
  readonly name: string;
  readonly serviceToken: Secret | undefined;
  /** Counts what is refused. */
  readonly refusals?: Refusals;
  /** Why the program does not do its work; empty where it does. */
  health(): readonly HealthReason[];
  /** Numbers that a person should see beside its health, and that do not make it worse. */
  notes?(): Readonly<Record<string, number>>;
  /** What waits for a person though the program does its work. */
  advice?(): readonly HealthReason[];
  metrics(): string;
  status(): Readonly<Record<string, unknown>>;
}

/** What a person sees first: one sentence, and where it is no good news what to do. */
export interface Verdict {
  /** `note`: events flow, but something waits for a person. */
  readonly level: "well" | "note" | "bad";
  readonly headline: string;
  readonly reasons: readonly HealthReason[];
}

/** What a program's page shows. */
export interface PageSource extends Pick<Served, "notes" | "status"> {
  readonly name: "ingest" | "enrich";
  verdict(): Verdict;
  /** What is read each second while somebody watches: cheap. */
  now(): unknown;
  /** What is read every ten seconds while somebody watches. */
  past(): unknown;
}

/** The routes of a program; its own ones are added to it. */
export function createApp(served: Served): Hono {
  const app = new Hono();
  const log = getLogger(served.name, "server");
  app.use(secureHeaders({
    contentSecurityPolicy: {
      defaultSrc: ["'none'"],
      scriptSrc: ["'self'"],
      styleSrc: ["'self'"],
      connectSrc: ["'self'"],
      imgSrc: ["'self'"],
      formAction: ["'none'"],
      frameAncestors: ["'none'"],
      baseUri: ["'none'"],
    },
    referrerPolicy: "no-referrer",
    xFrameOptions: "DENY",
    // what stands at this name on other ports, or below it, may speak no TLS
    strictTransportSecurity: false,
  }));
  app.get("/health/live", (c) => c.json({ status: "live" }));
  app.use(guard(served));
  const ready = (c: Context) => {
    const reasons = served.health();
    const advice = served.advice?.() ?? [];
    const notes = { ...served.notes?.(), ...(advice.length > 0 && { advice }) };
    return reasons.length === 0
      ? jsonAnswer(c, { status: "ready", ...notes })
      : jsonAnswer(c, { status: "not ready", reasons, ...notes }, 503);
  };
  app.get("/health/ready", ready);
  app.get("/health", ready);
  app.get("/metrics", (c) => {
    const text = redact(served.metrics());
    return c.body(text, 200, { "content-type": "text/plain; version=0.0.4; charset=utf-8" });
  });
  app.get("/status", (c) => jsonAnswer(c, served.status()));
  app.notFound((c) => c.json({ detail: `There is no ${c.req.method} ${c.req.path}` }, 404));
  app.onError((error, c) => {
    if (error instanceof HTTPException) return failure(error.status, error.message);
    log.error("Cannot answer {method} {path}: {reason}", {
      method: c.req.method,
      path: c.req.path,
      reason: describeError(error),
    });
    return failure(500, "Event processing failed", describeError(error));
  });
  return app;
}

/** An answer that says what is wrong: `{"detail": …, "cause": …}`. */
export function failure(
  status: number,
  detail: string,
  cause?: string,
  headers: Readonly<Record<string, string>> = {},
): Response {
  const body: Failure = {
    detail: redact(detail),
    ...(cause !== undefined && { cause: redact(cause) }),
  };
  return Response.json(body, { status, headers });
}

/** An answer without a secret: what a server has said of a request may be in it. */
function jsonAnswer(c: Context, value: unknown, status: 200 | 503 = 200): Response {
  return c.body(redactedJson(value), status, { "content-type": "application/json" });
}

/**
 * With a service token everything asks for it (bearer; Basic for browsers). Without one Host must
 * be this machine, or a web page anywhere could reach in through a name that it points here.
 * A request that a browser makes for another origin's page is refused either way, with an Origin or
 * without (an image, a script, a frame); a link that a person follows is none. Behind a proxy that
 * sends its own Host the browser's word counts, which no page can put into its mouth
 * (W3C Fetch Metadata, Sec-Fetch-Site).
 */
function guard({ name, serviceToken, refusals = new Refusals() }: Served): MiddlewareHandler {
  return async (c, next) => {
    const host = c.req.header("host") ?? "";
    if (isOfOtherPage(c.req, host)) {
      refusals.note("origin", c.req.method);
      return failure(403, "The request comes from another site's page");
    }
    if (serviceToken) {
      const authorization = c.req.header("authorization");
      if (!presents(authorization, serviceToken())) {
        refusals.note(authorization ? "token_wrong" : "token_missing", c.req.method);
        return failure(401, "SERVICE_TOKEN is missing or wrong", undefined, {
          "www-authenticate": `Basic realm="${name}"`,
        });
      }
    } else if (!isLoopback(URL.parse(`http://${host}`)?.hostname.replace(/^\[|\]$/g, "") ?? "")) {
      refusals.note("host", c.req.method);
      return failure(403, "Host must be a loopback name unless SERVICE_TOKEN is set");
    }
    await next();
  };
}

function isOfOtherPage(request: HonoRequest, host: string): boolean {
  const origin = request.header("origin");
  const site = request.header("sec-fetch-site");
  if (origin !== undefined) return site !== "same-origin" && URL.parse(origin)?.host !== host;
  const isLink = request.method === "GET" && request.header("sec-fetch-mode") === "navigate" &&
    request.header("sec-fetch-dest") === "document";
  return (site === "cross-site" || site === "same-site") && !isLink;
}

function presents(authorization: string | undefined, token: string): boolean {
  const [scheme = "", credentials = ""] = (authorization ?? "").split(/ +/, 2);
  const given = scheme.toLowerCase() === "bearer"
    ? credentials
    : scheme.toLowerCase() === "basic"
    ? passwordOf(credentials)
    : "";
  // digests are of one length, so that the comparison takes as long for any guess
  const digest = (text: string) => createHash("sha256").update(text).digest();
  return timingSafeEqual(digest(given), digest(token));
}

function passwordOf(credentials: string): string {
  try {
    const decoded = new TextDecoder().decode(
      Uint8Array.from(atob(credentials), (c) => c.charCodeAt(0)),
    );
    return decoded.slice(decoded.indexOf(":") + 1);
  } catch {
    return "";
  }
}
