/**
 * Home Assistant's WebSocket messages, pure: text in, typed messages out.
 * https://developers.home-assistant.io/docs/api/websocket, and the recorded frames in tests/fixtures.
 */
import * as z from "zod";
import { elementTexts, memberText } from "../../json_text.ts";
import { describeError } from "../../retry.ts";
import { eventHead, readEventHead } from "./event_head.ts";
import { longList } from "./long_list.ts";

const serverMessage = z.discriminatedUnion("type", [
  z.object({ type: z.literal("auth_required") }),
  z.object({ type: z.literal("auth_ok"), ha_version: z.string().catch("unknown") }),
  z.object({ type: z.literal("auth_invalid"), message: z.string().catch("") }),
  z.object({ type: z.literal("pong"), id: z.int() }),
  z.object({ type: z.literal("event"), id: z.int(), event: eventHead }),
  z.object({
    type: z.literal("result"),
    // an error's id can be null, 0 or a text: such an answer belongs to no command
    id: z.int().catch(0),
    success: z.boolean(),
    result: z.unknown().optional(),
    error: z.object({ code: z.string(), message: z.string().catch("") }).optional(),
  }),
]);
export type ServerMessage = z.infer<typeof serverMessage>;

/** A message of a frame: what it says, with its own text, of an event the event's; or why it could not be read. */
export type Received =
  | { readonly kind: "message"; readonly message: ServerMessage; readonly text: string }
  | { readonly kind: "malformed"; readonly reason: string };

/** What stands before and behind an event, as every release from 2024.3 to 2026.11 writes it. */
const EVENT_BEGIN = '{"type":"event","event":';
const EVENT_END = /^,"id":(\d{1,15})\}$/;

/**
 * The messages of a frame. With `coalesce_messages` a frame is one message or an array of them;
 * one that cannot be read never takes its neighbours with it. A long list is not parsed: see
 * `readInSteps`.
 */
export function readFrame(frame: string): Received[] {
  return eventsOf(frame) ?? elementTexts(frame).map(readMessage);
}

/**
 * The messages of a frame that has nothing but events, cut where they seem to begin and end;
 * undefined where that was wrong. What is between the cuts is JSON by itself, so that a frame has no
 * other reading: no scanner has to go through it.
 */
function eventsOf(frame: string): Received[] | undefined {
  if (!frame.startsWith(`[${EVENT_BEGIN}`) || !frame.endsWith("}]")) return undefined;
  const received: Received[] = [];
  let at = 1;
  while (at < frame.length) {
    const next = frame.indexOf(`},${EVENT_BEGIN}`, at);
    const end = next === -1 ? frame.length - 1 : next + 1;
    const event = readEvent(frame.slice(at, end));
    if (!event) return undefined;
    received.push(event);
    at = end + 1;
  }
  return received;
}

function readMessage(text: string): Received {
  try {
    const event = readEvent(text);
    if (event) return event;
    const list = longList(text);
    if (list) return { kind: "message", message: list, text };
    const message = serverMessage.parse(JSON.parse(text));
    const own = message.type === "event" ? memberText(text, "event") ?? "" : text;
    return { kind: "message", message, text: own };
  } catch (error) {
    const reason = error instanceof z.ZodError ? z.prettifyError(error) : describeError(error);
    return { kind: "malformed", reason: reason.replaceAll("\n", " ") };
  }
}

/** Undefined where the text is no event's, or is written otherwise. */
function readEvent(message: string): Received | undefined {
  if (!message.startsWith(EVENT_BEGIN)) return undefined;
  const end = message.lastIndexOf(",");
  const id = EVENT_END.exec(message.slice(end))?.[1];
  if (id === undefined) return undefined;
  const text = message.slice(EVENT_BEGIN.length, end);
  try {
    const event = readEventHead(JSON.parse(text));
    return { kind: "message", message: { type: "event", id: Number(id), event }, text };
  } catch {
    return undefined;
  }
}

/** The address of the WebSocket API below Home Assistant's own, whose path prefix is kept. */
export function webSocketUrl(hassUrl: string): string {
  const url = new URL(hassUrl);
  url.protocol = url.protocol.replace(/^http/, "ws");
  if (!url.pathname.endsWith("/api/websocket")) {
    url.pathname = `${url.pathname.replace(/\/+$/, "")}/api/websocket`;
  }
  return url.href;
}

/** The registry events: subscribed to one by one where the token may not have all events. */
export const REGISTRY_EVENTS = [
  "area_registry_updated",
  "floor_registry_updated",
  "label_registry_updated",
  "device_registry_updated",
  "entity_registry_updated",
] as const;

export function isRegistryEvent(eventType: string): boolean {
  return REGISTRY_EVENTS.some((name) => name === eventType);
}
