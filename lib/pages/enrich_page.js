/** The page of enrich. */
import {
  byId,
  countText,
  durationText,
  element,
  numberText,
  say,
  show,
  showPlot,
  showTable,
  showTile,
  sizeText,
  sparkline,
  timeText,
} from "./drawing.js";
import { watch } from "./watch.js";

const valueFormat = new Intl.NumberFormat(undefined, { maximumFractionDigits: 2 });

let past = [];
let nowMs = Date.now();

function showEvents({ events, requests, schema }) {
  const answers = Object.entries(requests).map(([status, n]) => `${numberText(n)} × ${status}`);
  showTile(
    "received",
    "well",
    numberText(events.received),
    "events since it started",
    answers.length === 0 ? "nobody has sent any yet" : `answers: ${answers.join(", ")}`,
  );
  const left = Object.values(events.skipped).reduce((sum, n) => sum + n, 0);
  showTile(
    "stored",
    events.problems > 0 ? "note" : "well",
    numberText(events.stored),
    `acknowledged by the store, schema ${schema}`,
    `${numberText(left)} left out, ${numberText(events.problems)} refused`,
  );
}

function showStore({ store }) {
  const reach = store.oldest_point ? `, back to ${timeText(Date.parse(store.oldest_point))}` : "";
  const size = store.size_bytes === undefined
    ? ""
    : `${countText(store.points, "point")} of ${numberText(store.series)} series, ` +
      `${sizeText(store.size_bytes)}, ${Math.round(store.fullness * 100)} % full${reach}`;
  const limits = (store.limits ?? []).map(({ name }) => name);
  const word = store.problem
    ? "Takes nothing"
    : limits.length > 0
    ? "At its limit"
    : "Takes points";
  showTile(
    "store",
    word === "Takes points" ? "well" : "bad",
    word,
    store.description,
    limits.length > 0 ? `in the way: ${limits.join(", ")}` : size,
  );
}

/** What needs more words than its name. */
const LEFT_OUT = {
  filter: "by CONFIG_FILE",
  no_number: "no number in them, and the store keeps nothing else",
  retention: "older than the store keeps",
  schema: "SCHEMA has no place for them",
  text: "texts, and the store keeps numbers alone",
};
const PRUNED = { age: "past LOCAL_STORE_DAYS", size: "for want of room" };

function leftOutRows(what, counts) {
  return Object.entries(counts).map(([why, n]) => [n, `${what} left out: ${LEFT_OUT[why] ?? why}`]);
}

function showRefused({ events, attributes_left_out: leftOut, store: { pruned = {} } }) {
  const rows = [
    ...Object.entries(events.problem_reasons).map(([why, n]) => [n, `events refused: ${why}`]),
    ...leftOutRows("events", events.skipped),
    ...leftOutRows("attributes", leftOut),
    ...Object.entries(pruned).filter(([, n]) => n > 0)
      .map(([why, n]) => [n, `points deleted: ${PRUNED[why]}`]),
  ];
  say(byId("all-stored"), rows.length === 0 ? "Nothing: all that came in is stored." : "");
  showTable("refused", ["Count", "What, and why"], rows);
}

function valueText({ state, value, unit, available }) {
  if (!available) return String(state ?? "unavailable");
  if (state !== undefined || value === undefined) return String(state ?? "–");
  return `${valueFormat.format(value)}${unit ? ` ${unit}` : ""}`;
}

function stateRow(shown) {
  const { entity_id: id, name, state, values, available, time_ms: timeMs } = shown;
  return element(
    "div",
    {
      className: available ? "state" : "state away",
      title: `${id}, ${timeText(timeMs)}`,
    },
    element("span", {}, name ?? id),
    sparkline(values, state !== undefined),
    element("b", {}, valueText(shown)),
  );
}

function showHouse(house) {
  show("house", house !== undefined);
  if (!house) return;
  const { entities, since_ms: sinceMs, states } = house;
  const areas = Map.groupBy(states, ({ area }) => area ?? "Without an area");
  const count = countText(entities, "entity", "entities");
  const more = entities > states.length ? `, of which ${numberText(states.length)} are shown` : "";
  const span = durationText(nowMs - sinceMs);
  say(
    byId("house-said"),
    entities === 0
      ? "No entity yet: start ingest, and what Home Assistant says appears here."
      : `${count}${more}; lines of the last ${span}`,
  );
  byId("areas").replaceChildren(
    ...[...areas].map(([area, states]) =>
      element("section", {}, element("h4", {}, area), ...states.map(stateRow))
    ),
  );
}

watch((now) => {
  nowMs = now.now_ms;
  showEvents(now.status);
  showStore(now.status);
  showRefused(now.status);
  showPlot("plot", ["received", "stored"], past, now.per_minute);
}, ({ per_minute, house }) => {
  past = per_minute;
  showHouse(house);
});
