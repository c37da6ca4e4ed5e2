/** How things look on both pages: texts, tiles, tables, plots. */

export const byId = (id) => document.getElementById(id);

/** An element with these children; a text is never read as HTML. */
export function element(tag, properties = {}, ...children) {
  const made = Object.assign(document.createElement(tag), properties);
  made.append(...children);
  return made;
}

/** Puts the text where it is not there yet. */
export function say(node, text) {
  if (node.textContent !== text) node.textContent = text;
}

/** Hides the element, or shows it. */
export function show(id, isShown) {
  byId(id).hidden = !isShown;
}

/** Bytes as people read them. */
export const sizeText = (bytes) =>
  bytes < 1e6
    ? `${numberText(Math.round(bytes / 1e3))} kB`
    : `${numberText(Math.round(bytes / 1e6))} MB`;

const numberFormat = new Intl.NumberFormat();
const timeFormat = new Intl.DateTimeFormat(undefined, { dateStyle: "medium", timeStyle: "short" });

export const numberText = (n) => numberFormat.format(n);
export const timeText = (time) => timeFormat.format(new Date(time));

/** `3 events`, `1 event`, `2 entities`. */
export const countText = (n, noun, nouns = `${noun}s`) =>
  `${numberText(n)} ${n === 1 ? noun : nouns}`;

/** `45 s`, `3 min`, `2 h 5 min`, `3 days`. */
export function durationText(ms) {
  const s = Math.max(0, Math.round(ms / 1000));
  if (s < 90) return `${s} s`;
  const minutes = Math.round(s / 60);
  if (minutes < 90) return `${minutes} min`;
  const hours = Math.floor(minutes / 60);
  if (hours < 48) return minutes % 60 === 0 ? `${hours} h` : `${hours} h ${minutes % 60} min`;
  return `${Math.round(hours / 24)} days`;
}

/** A tile: how it is, the word that says so, and two lines. */
export function showTile(id, level, big, ...details) {
  const tile = byId(id);
  tile.className = `tile ${level}`;
  const [word, ...lines] = tile.querySelectorAll("p");
  say(word, big);
  lines.forEach((line, at) => say(line, details[at] ?? ""));
}

/** A table of these rows; the names of its columns stand above it. A cell is a text or a node. */
export function showTable(id, heads, rows) {
  const isNumber = (cell) => typeof cell === "number";
  const cellOf = (tag) => (cell) =>
    isNumber(cell)
      ? element(tag, { className: "number" }, numberText(cell))
      : element(tag, {}, cell ?? "");
  const head = element("tr", {}, ...heads.map(cellOf("th")));
  heads.forEach((_, at) => head.cells[at].classList.toggle("number", isNumber(rows[0]?.[at])));
  const body = rows.map((cells) => element("tr", {}, ...cells.map(cellOf("td"))));
  byId(id).replaceChildren(...rows.length > 0 ? [head, ...body] : []);
}

/** A bar, where the part that is done is known, and what it says. */
export function showProgress(id, part, text) {
  const [bar, said] = byId(id).children;
  bar.hidden = part === undefined;
  bar.value = part ?? 0;
  say(said, text);
}

function drawn(tag, attributes, ...children) {
  const made = document.createElementNS("http://www.w3.org/2000/svg", tag);
  for (const [name, value] of Object.entries(attributes)) made.setAttribute(name, value);
  made.append(...children);
  return made;
}

function picture(height, ...paths) {
  return drawn(
    "svg",
    { viewBox: `0 0 100 ${height}`, preserveAspectRatio: "none", "aria-hidden": "true" },
    ...paths,
  );
}

/** The next number above that people like on an axis. */
function roundAbove(n) {
  const power = 10 ** Math.floor(Math.log10(Math.max(n, 10)));
  return [1, 2, 4, 6, 10].map((step) => step * power).find((step) => step >= n);
}

/** Two series of the last hour at the most, ten seconds apart; the last value of each is that of now. */
export function showPlot(id, [first, second], past, now) {
  const rows = [...past, now];
  const minutes = Math.min(60, Math.max(5, Math.ceil(rows.length / 6)));
  const top = roundAbove(Math.max(...rows.flatMap((row) => [row[first], row[second]])));
  const x = (at) => 100 - 100 * (rows.length - 1 - at) / (minutes * 6);
  const lineOf = (name) =>
    rows.map((row, at) => `${x(at).toFixed(2)} ${(60 - 59 * row[name] / top).toFixed(2)}`)
      .join("L");
  const spans = (...texts) => texts.map((text) => element("span", {}, text));
  const legend = [first, second].map((name) =>
    element("span", {}, `${name} `, element("b", {}, numberText(now[name])))
  );
  const svg = picture(
    60,
    drawn("path", { class: "under", d: `M${x(0)} 60L${lineOf(first)}L100 60Z` }),
    drawn("path", { d: `M${lineOf(first)}` }),
    drawn("path", { class: "second", d: `M${lineOf(second)}` }),
  );
  byId(id).replaceChildren(
    element("p", { className: "legend" }, ...legend),
    element("div", { className: "scale" }, svg, ...spans(numberText(top))),
    element("p", { className: "times" }, ...spans(`${minutes} minutes ago`, "now")),
  );
}

/** A small line of values; null is a break. `isSteps` for what is on or off. */
export function sparkline(values, isSteps) {
  const known = values.filter((value) => value !== null);
  const low = Math.min(...known);
  const span = Math.max(...known) - low;
  let path = "";
  let isOpen = false;
  values.forEach((value, at) => {
    if (value !== null) {
      const x = 100 * at / (values.length - 1);
      const y = span === 0 ? 10 : 19 - 18 * (value - low) / span;
      path += isOpen ? isSteps ? `H${x}V${y}` : `L${x} ${y}` : `M${x} ${y}`;
    }
    isOpen = value !== null;
  });
  return picture(20, drawn("path", { d: path }));
}
