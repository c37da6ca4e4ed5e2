/** The commands of the WebSocket API that the simulation knows. */
import { type Client, errorText } from "./client.ts";
import { HISTORY_COMMANDS, parseSeconds, resultText } from "./history_commands.ts";
import type { StreamSource } from "./history_stream.ts";
import { type Registries, REGISTRY_KINDS, type RegistryKind } from "./registries.ts";
import { describe, isJson, type Json, type Schema, schemaProblem } from "./schema.ts";
import { STATISTICS_TYPES, type StatisticsTables } from "./statistics.ts";

/** What commands ask. */
export interface Core extends StreamSource {
  readonly registries: Registries;
  readonly statistics: StatisticsTables;
  /** How late `subscribe_events` is answered. */
  readonly subscribeDelayMs: number;
  configText(): string;
}

/** One command: what it takes, and what it does. */
export interface Command {
  readonly schema: Schema;
  readonly adminOnly?: boolean;
  readonly run: (call: Call) => void;
}

/** A call of a command whose message keeps to the schema. */
export interface Call {
  readonly core: Core;
  readonly client: Client;
  readonly id: number;
  readonly message: Json;
}

// homeassistant/auth/permissions/events.py
const SUBSCRIBE_ALLOWLIST = new Set<unknown>([
  "area_registry_updated",
  "component_loaded",
  "core_config_updated",
  "device_registry_updated",
  "entity_registry_updated",
  "lovelace_updated",
  "panels_updated",
  "recorder_5min_statistics_generated",
  "recorder_hourly_statistics_generated",
  "repairs_issue_registry_updated",
  "service_registered",
  "service_removed",
  "shopping_list_updated",
  "state_changed",
  "themes_updated",
]);
/** 2024.3 has these events, but not yet in its list. */
const ALLOWED_SINCE_2024_4 = new Set<unknown>([
  "category_registry_updated",
  "floor_registry_updated",
  "label_registry_updated",
]);

const COMMANDS: Readonly<Record<string, Command>> = {
  supported_features: {
    schema: { features: "dict" },
    run: ({ client, id, message }) => {
      client.coalesce = Object.hasOwn(
        Object(message.features),
        "coalesce_messages",
      );
      client.send(resultText(id, "null"));
    },
  },
  ping: {
    schema: {},
    run: ({ client, id }) => client.send(`{"id":${id},"type":"pong"}`),
  },
  get_config: {
    schema: {},
    run: ({ core, client, id }) => client.send(resultText(id, core.configText())),
  },
  get_states: {
    schema: {},
    run: ({ core, client, id }) => {
      const texts = core.states.all().map((state) => state.text);
      client.send(resultText(id, `[${texts.join(",")}]`));
    },
  },
  subscribe_events: { schema: { event_type: "str?" }, run: subscribeEvents },
  unsubscribe_events: {
    schema: { subscription: "int" },
    run: ({ client, id, message }) =>
      client.send(
        client.unsubscribe(Number(message.subscription))
          ? resultText(id, "null")
          : errorText(id, "not_found", "Subscription not found."),
      ),
  },
  call_service: {
    schema: {
      domain: "str",
      service: "str",
      service_data: "dict?",
      target: "dict?",
      return_response: "bool?",
    },
    run: ({ client, id, message: { domain, service } }) =>
      client.send(
        errorText(
          id,
          "not_found",
          `Service ${domain}.${service} not found.`,
          {
            translation_key: "service_not_found",
            translation_placeholders: { domain, service },
            translation_domain: "homeassistant",
          },
        ),
      ),
  },
  "config/auth/list": {
    schema: {},
    adminOnly: true,
    run: ({ client, id }) => client.send(resultText(id, "[]")),
  },
  ...HISTORY_COMMANDS,
  "recorder/list_statistic_ids": {
    schema: {},
    run: ({ core, client, id }) => client.send(resultText(id, core.statistics.list())),
  },
  "recorder/statistics_during_period": {
    schema: {
      start_time: "str",
      end_time: "str?",
      statistic_ids: "list of str",
      period: "str",
      units: "dict?",
      types: "list of str?",
    },
    run: statisticsDuringPeriod,
  },
  ...Object.fromEntries(
    REGISTRY_KINDS.map((kind): [string, Command] => [
      `config/${kind}_registry/list`,
      {
        schema: {},
        run: ({ core, client, id }) => client.send(listText(id, kind, core.registries.list(kind))),
      },
    ]),
  ),
};

/** Carries out a command; false where it is unknown. */
export function executeCommand(
  core: Core,
  client: Client,
  id: number,
  message: Json,
): boolean {
  const type = String(message.type);
  if (!Object.hasOwn(COMMANDS, type)) return false;
  const { schema, adminOnly = false, run } = COMMANDS[type];
  const problem = schemaProblem(message, schema, core.version);
  if (problem !== undefined) {
    client.send(errorText(id, "invalid_format", problem));
  } else if (adminOnly && !client.user?.isAdmin) sendUnauthorized(client, id);
  else run({ core, client, id, message });
  return true;
}

function subscribeEvents({ core, client, id, message }: Call): void {
  const { event_type: eventType } = message;
  const isAllowed = SUBSCRIBE_ALLOWLIST.has(eventType) ||
    (core.version !== "2024.3.3" && ALLOWED_SINCE_2024_4.has(eventType));
  if (!client.user?.isAdmin && !isAllowed) {
    return sendUnauthorized(client, id);
  }
  const subscribe = () => {
    client.subscriptions.set(
      id,
      eventType === undefined ? undefined : String(eventType),
    );
    client.send(resultText(id, "null"));
  };
  if (core.subscribeDelayMs === 0) subscribe();
  else client.later(core.subscribeDelayMs, subscribe);
}

function statisticsDuringPeriod({ core, client, id, message }: Call): void {
  const start = parseSeconds(message.start_time);
  if (start === undefined) {
    return client.send(errorText(id, "invalid_start_time", "Invalid start_time"));
  }
  const end = message.end_time === undefined ? Infinity : parseSeconds(message.end_time);
  if (end === undefined) {
    return client.send(errorText(id, "invalid_end_time", "Invalid end_time"));
  }
  const texts = (value: unknown) => Array.isArray(value) ? value.map(String) : undefined;
  const statisticIds = texts(message.statistic_ids) ?? [];
  if (statisticIds.length === 0) {
    const problem = core.version === "2026.11.0"
      ? "value must not be empty"
      : "length of value must be at least 1 for dictionary value";
    return client.send(
      errorText(id, "invalid_format", describe(core.version, problem, "statistic_ids", [])),
    );
  }
  const answer = core.statistics.during({
    startMs: start * 1000,
    endMs: end * 1000,
    statisticIds,
    period: message.period === "month" ? "month" : "hour",
    types: texts(message.types) ?? STATISTICS_TYPES,
    units: isJson(message.units) ? message.units : {},
  });
  client.send(resultText(id, answer));
}

function sendUnauthorized(client: Client, id: number): void {
  client.send(errorText(id, "unauthorized", "Unauthorized"));
}

// the two long lists are put together from cached pieces, and so have spaces
function listText(id: number, kind: RegistryKind, list: string): string {
  return kind === "device" || kind === "entity"
    ? `{"id":${id},"type": "result","success":true,"result": ${list}}`
    : resultText(id, list);
}
