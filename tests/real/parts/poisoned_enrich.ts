/** Runs before enrich: lines that say so end it, keep it busy without end, or make it throw. */
const parse = JSON.parse;

JSON.parse = function (text: string, reviver?: (key: string, value: unknown) => unknown) {
  if (text.includes("poison: die")) Deno.exit(9);
  if (text.includes("poison: loop")) { for (;;); }
  if (text.includes("poison: throw")) throw new RangeError("Maximum call stack size exceeded");
  return parse(text, reviver);
};
