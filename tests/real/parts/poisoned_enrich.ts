/** Runs before enrich: lines that say so end it, keep it busy without end, or make it throw. */
JSON.parse = new Proxy(JSON.parse, {
  apply(parse, self, [text, ...rest]: [string, ...unknown[]]) {
    if (text.includes("poison: die")) Deno.exit(9);
    if (text.includes("poison: loop")) { for (;;); }
    if (text.includes("poison: throw")) throw new RangeError("Maximum call stack size exceeded");
    return Reflect.apply(parse, self, [text, ...rest]);
  },
});
