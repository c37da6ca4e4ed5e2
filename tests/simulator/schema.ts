/** Checks messages as Home Assistant's schemas do, and complains in the words of its release. */
import type { Version } from "./clock.ts";

/** What a key of a message holds. A `?` says that it may be left out. */
export type Schema = Readonly<
  Record<string, `${"str" | "int" | "bool" | "dict" | "list of str"}${"" | "?"}`>
>;

export type Json = Readonly<Record<string, unknown>>;

const EXTRA: Readonly<Record<Version, string>> = {
  "2024.3.3": "extra keys not allowed",
  "2025.4.4": "extra keys not allowed",
  "2026.11.0": "not a valid option",
};

/** The complaints as one text, or undefined where the message keeps to the schema. */
export function schemaProblem(
  message: Json,
  schema: Schema,
  version: Version,
): string | undefined {
  const problems: string[] = [];
  for (const [key, value] of Object.entries(message)) {
    if (key === "id" || key === "type") continue;
    if (!Object.hasOwn(schema, key)) {
      problems.push(describe(version, EXTRA[version], key, value));
      continue;
    }
    problems.push(...valueProblems(version, schema[key].replace("?", ""), key, value));
  }
  for (const [key, kind] of Object.entries(schema)) {
    if (!kind.endsWith("?") && !Object.hasOwn(message, key)) {
      problems.push(describe(version, "required key not provided", key, null));
    }
  }
  return problems.length === 0 ? undefined : problems.sort().join("\n");
}

/** What is wrong with a message that should have been `auth`. */
export function authProblem(message: unknown, version: Version): string | undefined {
  if (!isJson(message)) return "expected a dictionary";
  const { type: _, ...rest } = message;
  const problems = schemaProblem(rest, {
    access_token: "str?",
    api_password: "str?",
  }, version)?.split("\n") ?? [];
  if (message.id !== undefined) {
    problems.push(describe(version, EXTRA[version], "id", message.id));
  }
  if (message.type === undefined) {
    problems.push(describe(version, "required key not provided", "type", null));
  } else if (message.type !== "auth") {
    problems.push(
      describe(version, `not a valid value${ofDictionary(version)}`, "type", message.type),
    );
  }
  return problems.length === 0 ? undefined : problems.sort().join("\n");
}

/** Whether a JSON value is an object. */
export function isJson(value: unknown): value is Json {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

function valueProblems(
  version: Version,
  kind: string,
  key: string,
  value: unknown,
): string[] {
  if (kind === "list of str") {
    if (!Array.isArray(value)) {
      return [describe(version, `expected a list${ofDictionary(version)}`, key, value)];
    }
    return value.flatMap((item: unknown, i) =>
      typeof item === "string" ? [] : [
        version === "2026.11.0"
          ? `expected str at '${key}[${i}]'. Got ${repr(item)}`
          : `expected str @ data['${key}'][${i}]. Got ${repr(item)}`,
      ]
    );
  }
  const fits = {
    str: () => typeof value === "string",
    int: () => Number.isInteger(value),
    bool: () => typeof value === "boolean",
    dict: () => isJson(value),
  }[kind];
  return fits?.() ? [] : [
    describe(version, `expected ${kind}${ofDictionary(version)}`, key, value),
  ];
}

/** One complaint, as text; `value` is what came. */
export function describe(version: Version, problem: string, key: string, value: unknown): string {
  const place = version === "2026.11.0" ? `at '${key}'` : `@ data['${key}']`;
  return `${problem} ${place}. Got ${repr(value)}`;
}

function ofDictionary(version: Version): string {
  return version === "2026.11.0" ? "" : " for dictionary value";
}

/** Python's `repr` of a JSON value, as far as complaints go. */
function repr(value: unknown): string {
  if (value === null || value === undefined) return "None";
  if (value === true) return "True";
  if (value === false) return "False";
  if (typeof value === "string") {
    return `'${value.replace(/[\\']/g, "\\$&")}'`;
  }
  if (Array.isArray(value)) return `[${value.map(repr).join(", ")}]`;
  if (isJson(value)) {
    const items = Object.entries(value)
      .map(([key, item]) => `${repr(key)}: ${repr(item)}`);
    return `{${items.join(", ")}}`;
  }
  return String(value);
}
