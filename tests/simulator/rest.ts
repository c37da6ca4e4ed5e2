/** As much of the REST API as tests and tools call. */
import { type Clock, type Context, newContext, type Version } from "./clock.ts";
import type { User } from "./client.ts";
import { isEntityId } from "./history_commands.ts";
import { compactJson } from "./exact_json.ts";
import type { HttpAnswer, HttpRequest } from "./http.ts";
import { memberText } from "../../lib/json_text.ts";
import { isJson } from "./schema.ts";
import type { StateMachine, Write } from "./states.ts";

/** What REST calls do to Home Assistant. JSON stands as text, as it came. */
export interface RestTarget {
  readonly version: Version;
  readonly clock: Clock;
  readonly states: StateMachine;
  authenticate(token: string): User | undefined;
  writeState(write: Write, context: Context): boolean;
  removeState(entityId: string): boolean;
  fireRemote(eventType: string, data: string, context: Context): void;
  configText(): string;
}

/** Answers one call. */
export function answerRest(
  target: RestTarget,
  { method, path, headers, body }: HttpRequest,
): HttpAnswer {
  const token = /^Bearer (.+)$/.exec(headers.get("authorization") ?? "")?.[1];
  const user = token === undefined ? undefined : target.authenticate(token);
  if (user === undefined) {
    return {
      status: 401,
      body: "401: Unauthorized",
      contentType: "text/plain",
    };
  }
  const [, , kind = "", id = ""] = path.split("/").map(decodeURIComponent);
  const context = () => newContext(target.clock.seconds * 1e6, user.id);
  switch (`${method} ${kind}${id === "" ? "" : "/"}`) {
    case "GET ":
      return message(200, "API running.");
    case "GET config":
      return { status: 200, body: target.configText() };
    case "GET states":
      return {
        status: 200,
        body: `[${target.states.all().map(({ text }) => text).join(",")}]`,
      };
    case "GET states/":
      return getState(target, id);
    case "POST states/":
      return postState(target, id, body, context);
    case "DELETE states/":
      // a removal has a context of its own, without the user
      return target.removeState(id)
        ? message(200, "Entity removed.")
        : message(404, "Entity not found.");
    case "POST events/":
      return postEvent(target, id, body, context);
  }
  return { status: 404, body: "404: Not Found", contentType: "text/plain" };
}

function getState(target: RestTarget, entityId: string): HttpAnswer {
  const state = target.states.get(entityId);
  return state ? { status: 200, body: state.text } : message(404, "Entity not found.");
}

function postState(
  target: RestTarget,
  entityId: string,
  body: string,
  context: () => Context,
): HttpAnswer {
  const data = parseBody(body, target.version);
  if (data === undefined || !isJson(data.value)) {
    return message(400, "Invalid JSON specified.");
  }
  const { state: given, force_update, attributes } = data.value;
  if (given === undefined || given === null) {
    return message(400, "No state specified.");
  }
  const state = String(given);
  if (!isEntityId(entityId)) {
    return message(400, "Invalid entity ID specified.");
  }
  if (state.length > 255) return message(400, "Invalid state specified.");
  const isNew = target.states.get(entityId) === undefined;
  target.writeState({
    entityId,
    state,
    attributes: isJson(attributes) ? memberText(data.text, "attributes") ?? "{}" : "{}",
    forceUpdate: force_update === true,
  }, context());
  const written = target.states.get(entityId)?.text ?? "null";
  return { status: isNew ? 201 : 200, body: written };
}

function postEvent(
  target: RestTarget,
  eventType: string,
  body: string,
  context: () => Context,
): HttpAnswer {
  const data = body === "" ? { text: "{}", value: {} } : parseBody(body, target.version);
  if (data === undefined) {
    return message(400, "Event data should be valid JSON.");
  }
  if (!isJson(data.value)) {
    return message(400, "Event data should be a JSON object");
  }
  target.fireRemote(eventType, data.text, context());
  return message(200, `Event ${eventType} fired.`);
}

function message(status: number, text: string): HttpAnswer {
  return { status, body: JSON.stringify({ message: text }) };
}

function parseBody(body: string, version: Version): { text: string; value: unknown } | undefined {
  try {
    return { text: compactJson(body, version === "2026.11.0"), value: JSON.parse(body) };
  } catch {
    return undefined;
  }
}
