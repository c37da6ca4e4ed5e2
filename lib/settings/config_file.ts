/**
 * CONFIG_FILE: the `influxdb:` block of Home Assistant's own configuration, with `attributes:`
 * beside it for SCHEMA=tidy. Values are taken as the integration takes them
 * (homeassistant/components/influxdb, helpers/config_validation.py).
 */
import { basename } from "node:path";
import { isDeepStrictEqual } from "node:util";
import { distance } from "fastest-levenshtein";
import { z } from "zod";
import { YamlReader } from "./yaml_file.ts";

/** `cv.string`: numbers and booleans become their Python text. */
const text = z.union([z.string(), z.number(), z.boolean()], "must be a text").transform((value) =>
  typeof value === "boolean" ? (value ? "True" : "False") : String(value)
);

const TRUE = ["1", "true", "yes", "on", "enable"];
const FALSE = ["0", "false", "no", "off", "disable"];

/** `cv.boolean` */
const boolean = z.union([z.string(), z.number(), z.boolean()], "must be true or false")
  .transform((value, context) => {
    if (typeof value !== "string") return Boolean(value);
    const word = value.toLowerCase().trim();
    if (TRUE.includes(word)) return true;
    if (FALSE.includes(word)) return false;
    context.addIssue({ code: "custom", message: "must be true or false", input: value });
    return z.NEVER;
  });

/** `cv.ensure_list`: one value stands for a list of it. */
function listOf<T>(item: z.ZodType<T>) {
  return z.preprocess(
    (value) => value === undefined || value === null ? [] : Array.isArray(value) ? value : [value],
    z.array(item),
  );
}

/** `cv.entity_id`, after core.py's VALID_ENTITY_ID */
const entityId = text.transform((value) => value.toLowerCase().trim()).refine(
  (id) => /^(?!.+__)(?!_)[\da-z_]+(?<!_)\.(?!_)[\da-z_]+(?<!_)$/.test(id),
  "must be an entity id, for example sensor.kitchen",
);

/** `cv.entity_ids`: a list, or one text with commas. */
const entityIds = z.preprocess(
  (value) => typeof value === "string" ? value.split(",") : value ?? [],
  z.array(entityId, "must be a list of entity ids"),
);

/** A block that is left empty in YAML is null. */
function block<T extends z.ZodType>(schema: T) {
  return z.preprocess((value) => value ?? {}, schema);
}

function mapOf<T>(key: z.ZodType<string>, value: z.ZodType<T>) {
  return block(z.record(z.string(), value, "must be a block of names and values")).transform(
    (given, context) =>
      new Map(
        Object.entries(given).map(([name, one]): [string, T] => {
          const parsed = key.safeParse(name);
          if (parsed.success) return [parsed.data, one];
          context.addIssue({
            code: "custom",
            path: [name],
            message: parsed.error.issues[0]?.message ?? "",
          });
          return [name, one];
        }),
      ),
  );
}

const entityRules = block(z.strictObject({
  domains: listOf(text),
  entities: entityIds,
  entity_globs: listOf(text),
}, "must be a block"));

/** Of SCHEMA=tidy: what of a state's attributes is stored beside, and left out of, ATTRIBUTES. */
const attributeRules = block(
  z.strictObject({ include: listOf(text), exclude: listOf(text) }, "must be a block"),
);

const entityConfig = block(z.strictObject({
  override_measurement: text.optional(),
  ignore_attributes: listOf(text).optional(),
  attributes: attributeRules.optional(),
}, "must be a block"));

/** `max_retries` and the like: `cv.positive_int`. */
const whole = z.coerce.number().int("must be a whole number").min(0, "must not be negative");

const fileSchema = block(z.strictObject({
  api_version: text.pipe(z.enum(["1", "2"], "must be 1 or 2")).optional(),
  host: text.refine(
    (host) => /^(?:[\w.-]+|\[[\da-fA-F:.]+\])$/.test(host),
    "must be a host name or an address alone, without http:// and port",
  ).optional(),
  port: whole.max(65_535, "must be a port").optional(),
  ssl: boolean.optional(),
  verify_ssl: boolean.default(true),
  ssl_ca_cert: text.optional(),
  path: text.refine((path) => /^[\w./~%-]*$/.test(path), "must be the path of a URL").optional(),
  database: text.optional(),
  username: text.optional(),
  password: text.optional(),
  token: text.optional(),
  organization: text.optional(),
  bucket: text.optional(),
  precision: z.enum(["ms", "s", "us", "ns"], "must be one of ms, s, us, ns").optional(),
  max_retries: whole.optional(),
  measurement_attr: z.enum(
    ["unit_of_measurement", "domain__device_class", "entity_id"],
    "must be one of unit_of_measurement, domain__device_class, entity_id",
  ).optional(),
  default_measurement: text.optional(),
  override_measurement: text.optional(),
  tags: mapOf(text, text),
  tags_attributes: listOf(text),
  ignore_attributes: listOf(text),
  include: entityRules,
  exclude: entityRules,
  attributes: attributeRules,
  component_config: mapOf(entityId, entityConfig),
  component_config_glob: mapOf(text, entityConfig),
  component_config_domain: mapOf(text, entityConfig),
}, "must be a block of options"));

const COMPONENT_CONFIGS = [
  "component_config",
  "component_config_glob",
  "component_config_domain",
] as const;

/** The options of the file, as they are named there. */
export type FileOptions = z.output<typeof fileSchema>;

/** The options where no file is set. */
export const NO_FILE: FileOptions = fileSchema.parse({});

const NAMES = [
  ...Object.keys(fileSchema.def.out.def.shape),
  ...Object.keys(entityConfig.def.out.def.shape),
  ...Object.keys(entityRules.def.out.def.shape),
];

export interface ConfigFile {
  /** What it is called in messages: its name without the folder. */
  readonly name: string;
  readonly path: string;
  readonly options: FileOptions;
  /** The text of each file that was read for it, by path; undefined where one could not be. */
  readonly texts: ReadonlyMap<string, string | undefined>;
}

/** Reads the file. Every problem is added to `problems`, by the option's name; none of them holds a value. */
export function readConfigFile(path: string, problems: string[]): ConfigFile {
  const reader = new YamlReader();
  const value = reader.read(path, "influxdb");
  const file = { name: basename(path), path, texts: reader.texts };
  problems.push(...reader.problems);
  if (reader.problems.length > 0) return { ...file, options: NO_FILE };
  const isOther = typeof value === "object" && value !== null && !Array.isArray(value) &&
    Object.keys(value).length > 0 && !Object.keys(value).some((name) => NAMES.includes(name));
  if (isOther) {
    problems.push(`${file.name} has no influxdb: in it, and none of that block's options`);
    return { ...file, options: NO_FILE };
  }
  const parsed = fileSchema.safeParse(value);
  if (parsed.success) return { ...file, options: parsed.data };
  problems.push(...parsed.error.issues.flatMap((issue) => problemsOf(file.name, issue)));
  return { ...file, options: NO_FILE };
}

function problemsOf(file: string, issue: z.core.$ZodIssue): string[] {
  if (issue.code !== "unrecognized_keys") {
    const option = issue.path.join(": ");
    return [option === "" ? `${file} ${issue.message}` : `${file}: ${option} ${issue.message}`];
  }
  return issue.keys.map((key) => {
    const nearest = NAMES.reduce((a, b) => distance(key, b) < distance(key, a) ? b : a);
    const option = [...issue.path, key].join(": ");
    return `${file}: ${option} is no option; did you mean ${nearest}?`;
  });
}

/** Options that only one of the schemas asks for. */
const ONLY_IN = {
  homeassistant: [
    "precision",
    "measurement_attr",
    "default_measurement",
    "override_measurement",
    "tags",
    "tags_attributes",
  ],
  tidy: ["attributes"],
} as const;
const CONNECTION = ["port", "path", "database", "username", "token", "bucket"] as const;

/** What a person who set the file should know of it: options that do nothing here. */
export function fileNotes(
  { name, options }: ConfigFile,
  schema: "tidy" | "homeassistant",
  hasInfluxDb: boolean,
): string[] {
  const notes: string[] = [];
  const idle: string[] = ONLY_IN[schema === "tidy" ? "homeassistant" : "tidy"]
    .filter((option) => !isDeepStrictEqual(options[option], NO_FILE[option]));
  const inComponent = schema === "tidy" ? "override_measurement" : "attributes";
  for (const kind of COMPONENT_CONFIGS) {
    const some = [...options[kind].values()].some((entity) => entity[inComponent] !== undefined);
    if (some) idle.push(`${inComponent} in ${kind}`);
  }
  if (idle.length > 0) {
    notes.push(`${name}: with SCHEMA=${schema} these options do nothing: ${idle.join(", ")}`);
  }
  if (options.max_retries !== undefined) {
    notes.push(
      `${name}: max_retries is not needed: what InfluxDB does not take is kept, and tried without end`,
    );
  }
  if (!hasInfluxDb && CONNECTION.some((option) => options[option] !== undefined)) {
    notes.push(
      `${name} names no host, nor does INFLUXDB_URL: with SCHEMA=tidy events go to the local store`,
    );
  }
  return notes;
}
