/** The route by which a person has the events tried at once that a limit of the store holds. */
import type { Hono } from "hono";
import { readJson } from "../../serve/body.ts";
import type { LimitedEvents } from "./limited_events.ts";

/** Adds the route. */
export function addLimitedRoutes(app: Hono, limited: LimitedEvents): void {
  app.post("/limited/try", async (c) => {
    await readJson(c.req.raw, { maxBytes: 1_000, deadlineMs: 10_000 });
    const events = limited.count;
    limited.tryNow();
    return c.json({ events }, 202);
  });
}
