/** Plots as SVG, readable on light and on dark pages. */

export interface Series {
  readonly name: string;
  readonly points: readonly (readonly [x: number, y: number])[];
}

export interface Plot {
  readonly title: string;
  /** With the unit. Its numbers are spread by powers of ten. */
  readonly xLabel: string;
  /** With the unit. It begins at 0. */
  readonly yLabel: string;
  readonly series: readonly Series[];
}

const WIDTH = 720;
const HEIGHT = 400;
const LEFT = 70;
const RIGHT = 20;
const TOP = 44;
const BOTTOM = 84;
/** Dark enough for white, and light enough for black. */
const COLOURS = ["#1a7fd4", "#d9622b", "#2f9e5b", "#a45fc9"];
const STYLE = "svg{background:#fff;color:#222;font:13px sans-serif}" +
  "@media(prefers-color-scheme:dark){svg{background:#16181c;color:#ddd}}" +
  "text{fill:currentColor}.grid{stroke:currentColor;stroke-opacity:.18}";

/** The SVG's text. Throws RangeError where there is nothing to draw, or x is not above 0. */
export function plotSvg({ title, xLabel, yLabel, series }: Plot): string {
  const points = series.flatMap((one) => one.points);
  if (points.length === 0) throw new RangeError(`${title}: there is nothing to draw`);
  if (points.some(([x, y]) => !(x > 0) || !Number.isFinite(y))) {
    throw new RangeError(`${title}: x must be above 0, and y a number`);
  }
  const xs = [...new Set(points.map(([x]) => x))].sort((a, b) => a - b);
  const [first = 1, last = 1] = [xs[0], xs.at(-1)];
  const { top, step } = scaleOf(Math.max(...points.map(([, y]) => y)));
  const xOf = (x: number) =>
    LEFT + (WIDTH - LEFT - RIGHT) * Math.log(x / first) / (Math.log(last / first) || 1);
  const yOf = (y: number) => HEIGHT - BOTTOM - (HEIGHT - TOP - BOTTOM) * y / top;
  const ys = Array.from({ length: Math.round(top / step) + 1 }, (_, i) => i * step);
  const middle = (HEIGHT - BOTTOM + TOP) / 2;
  return [
    `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${WIDTH} ${HEIGHT}" role="img" ` +
    `aria-label="${escaped(title)}">`,
    `<style>${STYLE}</style>`,
    text(LEFT, 24, title, 'font-weight="bold"'),
    ...ys.flatMap((y) => [
      `<path class="grid" d="M${LEFT} ${round(yOf(y))}H${WIDTH - RIGHT}"/>`,
      text(LEFT - 8, yOf(y) + 4, numberText(y), 'text-anchor="end"'),
    ]),
    ...xs.map((x) => text(xOf(x), HEIGHT - BOTTOM + 20, numberText(x), 'text-anchor="middle"')),
    text((LEFT + WIDTH - RIGHT) / 2, HEIGHT - BOTTOM + 42, xLabel, 'text-anchor="middle"'),
    text(18, middle, yLabel, `text-anchor="middle" transform="rotate(-90 18 ${round(middle)})"`),
    ...series.flatMap((one, i) => seriesOf(one, i, xOf, yOf)),
    "</svg>\n",
  ].join("\n");
}

function seriesOf(
  { name, points }: Series,
  index: number,
  xOf: (x: number) => number,
  yOf: (y: number) => number,
): string[] {
  const colour = COLOURS[index % COLOURS.length];
  const at = points.map(([x, y]) => `${round(xOf(x))} ${round(yOf(y))}`);
  const legendX = LEFT + index * 160;
  return [
    `<path d="M${at.join("L")}" fill="none" stroke="${colour}" stroke-width="2"/>`,
    ...points.map(([x, y]) =>
      `<circle cx="${round(xOf(x))}" cy="${round(yOf(y))}" r="3.5" fill="${colour}"/>`
    ),
    `<path d="M${legendX} ${HEIGHT - 16}h22" stroke="${colour}" stroke-width="3"/>`,
    text(legendX + 28, HEIGHT - 12, name),
  ];
}

/** Where the y axis ends, no lower than the highest value, and how far its numbers are apart. */
function scaleOf(highest: number): { readonly top: number; readonly step: number } {
  const rough = (highest || 1) / 5;
  const power = 10 ** Math.floor(Math.log10(rough));
  const step = ([1, 2, 5, 10].find((n) => n * power >= rough) ?? 10) * power;
  return { top: Math.ceil((highest || 1) / step) * step, step };
}

function text(x: number, y: number, content: string, attributes = ""): string {
  return `<text x="${round(x)}" y="${round(y)}"${attributes && ` ${attributes}`}>${
    escaped(content)
  }</text>`;
}

function numberText(value: number): string {
  return value.toLocaleString("en", { maximumSignificantDigits: 6 });
}

function round(value: number): number {
  return Math.round(value * 10) / 10;
}

function escaped(content: string): string {
  return content.replace(/[&<>"]/g, (c) => `&#${c.charCodeAt(0)};`);
}
