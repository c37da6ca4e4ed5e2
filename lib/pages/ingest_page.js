/** The page of ingest. */
import {
  byId,
  countText,
  durationText,
  element,
  numberText,
  say,
  show,
  showPlot,
  showProgress,
  showTable,
  showTile,
  timeText,
} from "./drawing.js";
import { watch } from "./watch.js";

const sum = (counts) => Object.values(counts).reduce((total, n) => total + n, 0);

let past = [];
/** How many dead letters the list on the page was made of; undefined before there is one. */
let listed;

function showHass({ home_assistant: hass }) {
  const words = {
    "capturing": "Connected",
    "connecting": "Connecting",
    "token refused": "Token refused",
    "disconnected": "Not connected",
  };
  const { kind, url, last_event_ms_ago: agoMs } = hass;
  const version = hass.ha_version ? `version ${hass.ha_version}, ` : "";
  const heard = agoMs === undefined ? "no event yet" : `last event ${durationText(agoMs)} ago`;
  const restricted = hass.events === "states" ? ", only states: not an administrator's token" : "";
  showTile(
    "home-assistant",
    kind === "capturing" ? restricted ? "note" : "well" : "bad",
    words[kind] ?? kind,
    version + heard + restricted,
    url,
  );
}

function showOutbox({ outbox, events }, nowMs) {
  const { oldest_event: oldest, full, full_reason: why, fullness } = outbox;
  const waits = oldest !== undefined && events.queued > 0;
  const refused = outbox.refused_uncounted + (events.dropped.outbox_full ?? 0);
  showTile(
    "outbox",
    full ? "bad" : waits && nowMs - Date.parse(oldest) > 60_000 ? "note" : "well",
    full ? "Full" : `${numberText(events.queued)} waiting`,
    full
      ? `${why}; ${countText(refused, "event")} refused so far`
      : waits
      ? `the oldest for ${durationText(nowMs - Date.parse(oldest))}`
      : events.queued > 0
      ? "set aside, filled in or imported"
      : "nothing is held back",
    `${(fullness * 100).toFixed(1)} % of the allowed size in use`,
  );
}

function showDelivery({ delivery }) {
  const { problem, problem_for_ms: forMs, last_answer_took_ms: tookMs } = delivery;
  showTile(
    "delivery",
    problem ? "bad" : "well",
    problem ? "Not stored" : "Answers",
    problem
      ? `for ${durationText(forMs)}; it is tried again without end`
      : tookMs === undefined
      ? "nothing was delivered yet"
      : `the last answer took ${numberText(tookMs)} ms`,
    delivery.enrich,
  );
}

function showLimited({ delivery: { limited: { events, reason, next_try_in_ms: nextMs } } }) {
  show("limited", events > 0);
  say(byId("limit"), reason ?? "Which limit it is will be known after the next try.");
  say(
    byId("limited-said"),
    `${countText(events, "event")} set aside, while others are stored; ` +
      (nextMs === undefined ? "being tried now." : `tried again in ${durationText(nextMs)}.`),
  );
}

byId("try-limited").onclick = async () => {
  const { ok, status } = await post("limited/try", {});
  if (!ok) say(byId("limited-said"), `Not done: ingest answered ${status}.`);
};

function showEquation({ events }) {
  const { received, delivered, skipped, dropped, dead_lettered: dead, queued } = events;
  const terms = {
    "received": received,
    "= delivered": delivered,
    "+ left out": sum(skipped),
    "+ dead letters": dead,
    "+ dropped": sum(dropped),
    "+ waiting": queued,
  };
  byId("equation").replaceChildren(
    ...Object.entries(terms).map(([term, n]) =>
      element("div", {}, element("dt", {}, term), element("dd", {}, numberText(n)))
    ),
  );
}

function showFilling({ filling }) {
  const { state, entities, rows, part, seconds_left: leftS, waiting_for: why } = filling;
  const percent = part === undefined ? "" : `${Math.floor(part * 100)} %: `;
  const history = `reading the history of ${countText(entities, "entity", "entities")}, `;
  const filled = `${countText(rows, "state")} filled in so far`;
  const left = leftS === undefined ? "" : `, ${durationText(leftS * 1000)} left`;
  const waits = why === undefined
    ? "; Home Assistant's recorder is asked once it has written down the rest"
    : `; what ${countText(entities, "entity", "entities")} missed has waited for ` +
      `${durationText(filling.waiting_ms)}: ${why}`;
  show("filling", entities > 0);
  showProgress(
    "filling",
    part,
    state === "reading" ? percent + history + filled + left : filled + waits,
  );
}

/** What became of a gap, in words. */
function fillingText({ rows, unfilled, missing, state }) {
  const states = countText(rows, "state");
  const rest = missing > 0
    ? `, and ${countText(missing, "entity", "entities")} still to be read`
    : "";
  const lacking = Object.entries(unfilled).map(([why, n]) =>
    `; of ${countText(n, "entity", "entities")} not all: ${why}`
  );
  return `${states}${state === "open" ? " so far" : ""}${rest}${lacking.join("")}`;
}

function showGaps({ filling, gaps }) {
  const isNone = gaps.length === 0 && filling.entities === 0;
  say(byId("no-gaps"), isNone ? "Nothing was missed so far." : "");
  showTable(
    "gaps",
    ["From", "Missed", "Why", "Filled in"],
    gaps.map((gap) => {
      const { from, to, reason } = gap;
      const missed = to ? durationText(Date.parse(to) - Date.parse(from)) : "until now";
      return [timeText(from), missed, reason, fillingText(gap)];
    }),
  );
}

function button(text, properties, onclick) {
  return element("button", { type: "button", ...properties, onclick }, text);
}

const eventOf = ({ entity_id: entity, event_type: type }) => entity ?? type ?? "an event";

async function listLetters() {
  const response = await fetch("dead-letters?limit=10");
  if (!response.ok) throw new Error(`ingest answered ${response.status}`);
  const { total, by_reason: reasons, letters } = await response.json();
  listed = total;
  say(
    byId("letters-said"),
    total === 0
      ? "None: nothing was refused for good."
      : `Events that can never be stored as they are: ${numberText(total)}.`,
  );
  const movers = (reason, choice) =>
    element(
      "div",
      { className: "buttons" },
      element("span", {}, reason),
      button("Deliver again", {}, () => move("replay", choice)),
      button("Discard…", { className: "bad" }, () => confirmDiscard(choice)),
    );
  const rows = reasons.map(({ reason, count }) => [count, movers(reason, { reason })]);
  if (reasons.length > 1) rows.push([total, movers("All of them", { all: true })]);
  showTable("reasons", ["Events", "Reason"], rows);
  show("newest", total > 0);
  showTable(
    "letters",
    ["Refused", "Event", "Reason"],
    letters.toReversed().map((letter) => [
      timeText(letter.refused_at),
      element("a", { href: `dead-letters/${letter.seq}` }, eventOf(letter)),
      letter.reason,
    ]),
  );
}

function post(path, choice) {
  return fetch(path, {
    method: "POST",
    headers: { "content-type": "application/json" },
    body: JSON.stringify(choice),
  });
}

async function move(action, choice) {
  const buttons = document.querySelectorAll("#reasons button");
  for (const one of buttons) one.disabled = true;
  const response = await post(`dead-letters/${action}`, choice);
  const { moved, detail } = await response.json();
  await listLetters();
  const done = action === "replay" ? "are delivered again" : "are discarded, and count as dropped";
  say(
    byId("letters-said"),
    response.ok ? `${countText(moved, "dead letter")} ${done}.` : `Not done: ${detail}.`,
  );
}

/** Says how many it would be: a reason stands for all that contain it. */
async function confirmDiscard(choice) {
  const query = new URLSearchParams({ limit: "1", ...choice.reason && { reason: choice.reason } });
  const { total } = await (await fetch(`dead-letters?${query}`)).json();
  say(
    byId("confirm-text"),
    `${countText(total, "event")}${choice.reason ? `, refused for “${choice.reason}”,` : ""} ` +
      "will be given up for good, and counted as dropped.",
  );
  byId("discard").onclick = () => {
    byId("confirm").close();
    move("discard", choice);
  };
  byId("confirm").showModal();
}

byId("keep").onclick = () => byId("confirm").close();

watch((now) => {
  const { status } = now;
  showHass(status);
  showOutbox(status, now.now_ms);
  showDelivery(status);
  showLimited(status);
  showEquation(status);
  showFilling(status);
  showGaps(status);
  showPlot("plot", ["captured", "delivered"], past, now.per_minute);
  if (status.events.dead_lettered !== listed) listLetters();
}, ({ per_minute }) => past = per_minute);
