/** Which names an InfluxQL query uses, and as what. Names of the database must stand in quotes. */

/** Measurements, and what their points have. */
export type Names = ReadonlyMap<
  string,
  { readonly tags: ReadonlySet<string>; readonly fields: ReadonlySet<string> }
>;

/** In this order: a regular expression only after an operator or FROM, or it is a division. */
const TOKEN =
  /"[^"]*"|'[^']*'|(?<=(?:=~|!~|FROM) )\/(?:[^/\\]|\\.)*\/|\$\{[\w:]+\}|\$\w+|\d+[a-z]*|[A-Za-z_]\w*|\S/g;

const WORDS: ReadonlySet<string> = new Set(
  `SELECT FROM WHERE GROUP BY AND OR AS ORDER DESC LIMIT SHOW TAG VALUES WITH KEY MEASUREMENTS FIELD
  KEYS time fill none previous tz mean min max last count sum string tag`.split(/\s+/),
);

const NO_DOMAINS: ReadonlySet<string> = new Set(["events", "entities", "statistics"]);

const GROUP_BY_ENDS: ReadonlySet<string> = new Set(["WHERE", "fill", "tz"]);

export class Query {
  /** The tags of the outermost GROUP BY. */
  readonly groups: ReadonlySet<string>;
  /** How the columns of the answer are named. */
  readonly columns: ReadonlySet<string>;
  readonly #tokens: readonly string[];

  constructor(text: string) {
    this.#tokens = text.match(TOKEN) ?? [];
    const outer = withoutParentheses(this.#tokens);
    this.groups = new Set(namesIn(outer.slice(after(outer, "BY"))));
    const selected = outer.slice(0, outer.indexOf("FROM"));
    this.columns = new Set([
      ...this.groups,
      ...namesIn(selected.filter((_, index) => selected[index + 1] !== "AS")),
    ]);
  }

  /** What the query names that is not in `written`, or not what it is used as. */
  unknownNames(written: Names): readonly string[] {
    const problems: string[] = [];
    const measurements: string[] = [];
    const made = new Set<string>();
    for (const [index, token] of this.#tokens.entries()) {
      if (/^[A-Za-z_]/.test(token) && !WORDS.has(token)) {
        problems.push(`${token} stands without quotes`);
      }
      if (this.#tokens[index - 1] === "AS") made.add(nameOf(token));
      if (this.#tokens[index - 1] === "FROM" && isName(token)) measurements.push(nameOf(token));
    }
    // $domain and /.*/ stand for the states of any domain, as does what a SHOW leaves out
    const known = measurements.length > 0 && !measurements.some(isVariable)
      ? measurements.flatMap((name) => written.get(name) ?? [])
      : [...written].filter(([name]) => !NO_DOMAINS.has(name)).map(([, names]) => names);
    const isTag = (name: string) => known.some(({ tags }) => tags.has(name));
    const isField = (name: string) =>
      made.has(name) || known.some(({ fields }) => fields.has(name));

    let inGroupBy = false;
    for (const [index, token] of this.#tokens.entries()) {
      if (token === "BY") inGroupBy = this.#tokens[index - 1] === "GROUP";
      else if (GROUP_BY_ENDS.has(token)) inGroupBy = false;
      if (!isName(token)) continue;
      const name = nameOf(token);
      const before = this.#tokens[index - 1] ?? "";
      if (isVariable(name) || before === "AS") continue;
      if (before === "FROM") {
        if (!written.has(name)) problems.push(`${name} is no measurement`);
      } else if (inGroupBy || this.#tokens[index - 2] === "KEY") {
        if (!isTag(name)) problems.push(`${name} is no tag`);
      } else if (before === "(" && this.#tokens[index + 1] === ")") {
        if (!isField(name)) problems.push(`${name} is no field`);
      } else if (!isTag(name) && !isField(name)) {
        problems.push(`${name} is no tag or field`);
      }
    }
    return problems;
  }
}

function withoutParentheses(tokens: readonly string[]): readonly string[] {
  let depth = 0;
  return tokens.filter((token) => {
    if (token === ")") depth--;
    const isOuter = depth === 0;
    if (token === "(") depth++;
    return isOuter && token !== "(" && token !== ")";
  });
}

function after(tokens: readonly string[], word: string): number {
  return tokens.includes(word) ? tokens.lastIndexOf(word) : tokens.length;
}

function isName(token: string): boolean {
  return token.startsWith('"');
}

function nameOf(token: string): string {
  return token.slice(1, -1);
}

function isVariable(name: string): boolean {
  return name.startsWith("$");
}

function namesIn(tokens: readonly string[]): readonly string[] {
  return tokens.filter(isName).map(nameOf);
}
