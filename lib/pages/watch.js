/** What both pages show of their program as it runs: the stream, the verdict, and whether it is live. */
import { byId, element, say, show } from "./drawing.js";

const RETRY_MS = 3_000;
/** Nothing for so long: the program hangs, or the way to it does. */
const SILENCE_MS = 10_000;

const name = document.querySelector("h1").textContent;
let version;
let shown;

function showVerdict({ level, headline, reasons }) {
  const key = JSON.stringify([level, headline, reasons]);
  // what is made anew is read aloud again, and loses what was selected in it
  if (key === shown) return;
  shown = key;
  const verdict = byId("verdict");
  verdict.className = level;
  verdict.querySelector("h2").textContent = headline;
  verdict.querySelector("ul").replaceChildren(
    ...reasons.map(({ reason, action }) =>
      element("li", {}, element("strong", {}, reason), " ", element("span", {}, action))
    ),
  );
  document.title = `${name}: ${headline}`;
  byId("icon").href = `icon-${level}.svg`;
}

function showLiveness(isOn, text) {
  byId("liveness").className = isOn ? "on well" : "";
  say(byId("liveness"), text);
}

/** Calls `showNow` each second and `showPast` every ten, for as long as the page is open. */
export function watch(showNow, showPast) {
  const stream = new EventSource("live");
  let timer;
  let latest;
  const lost = () => {
    clearTimeout(timer);
    stream.close();
    showLiveness(false, "not live");
    showVerdict({
      level: "bad",
      headline: `Not well: ${name} does not answer`,
      reasons: [{
        reason: "What this page shows is from before",
        action: `see that ${name} runs and can be reached, and that few of its pages are open; ` +
          "the page goes on by itself",
      }],
    });
    setTimeout(() => watch(showNow, showPast), RETRY_MS);
  };
  const heard = () => {
    clearTimeout(timer);
    timer = setTimeout(lost, SILENCE_MS);
  };
  heard();
  stream.onerror = lost;
  stream.addEventListener("now", ({ data }) => {
    heard();
    const now = latest = JSON.parse(data);
    // another release has other scripts
    if (now.status.version !== (version ??= now.status.version)) return location.reload();
    showLiveness(true, "live");
    showVerdict(now.verdict);
    showNow(now);
    show("live", true);
  });
  stream.addEventListener("past", ({ data }) => {
    showPast(JSON.parse(data));
    if (latest) showNow(latest);
  });
}
