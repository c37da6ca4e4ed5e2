/** What CONFIG_FILE may say. Values are taken as Home Assistant's integration takes them (homeassistant/components/influxdb, helpers/config_validation.py). */
import * as z from "zod";
import { ENTITY_EVENT_TYPES } from "../contract.ts";
import { pythonTextOf } from "./python_scalar.ts";

const scalar = [z.string(), z.number(), z.bigint(), z.boolean()] as const;

/** `cv.string`: numbers and booleans become their Python text. */
const text = z.union(scalar, "must be a text").transform(pythonTextOf);

/** What is sent as a header, or in one. */
const secret = text.transform((value) => value.trim())
  .refine((value) => !/[\r\n]/.test(value), "must be one line");

/** `cv.boolean` */
const boolean = z.union([
  z.union([z.number(), z.bigint(), z.boolean()]).transform(Boolean),
  z.string().trim().pipe(z.stringbool({
    truthy: ["1", "true", "yes", "on", "enable"],
    falsy: ["0", "false", "no", "off", "disable"],
  })),
], "must be true or false");

/** `cv.ensure_list`: one value stands for a list of it. */
function listOf<T>(item: z.ZodType<T>) {
  return z.preprocess(
    (value) => value === undefined || value === null ? [] : Array.isArray(value) ? value : [value],
    z.array(item),
  );
}

const ENTITY_ID = "must be an entity id, for example sensor.kitchen";

/** `cv.entity_id`, after core.py's VALID_ENTITY_ID */
const entityId = z.string(ENTITY_ID).toLowerCase().trim()
  .regex(/^(?!.+__)(?!_)[\da-z_]+(?<!_)\.(?!_)[\da-z_]+(?<!_)$/, ENTITY_ID);

/** `cv.entity_ids`: a list, or one text with commas. */
const entityIds = z.preprocess(
  (value) => typeof value === "string" ? value.split(",") : value ?? [],
  z.array(entityId, "must be a list of entity ids"),
);

/** A block that is left empty in YAML is null. */
function block<T extends z.ZodType>(schema: T) {
  return z.preprocess((value) => value ?? {}, schema);
}

const name = z.string().min(1, "must have a name before the colon");

function mapOf<T>(key: z.ZodString, value: z.ZodType<T>) {
  const error = ({ code, issues }: z.core.$ZodRawIssue) =>
    code === "invalid_key" ? issues?.[0]?.message : "must be a block of names and values";
  return block(z.record(key, value, { error })).transform((given) =>
    new Map(Object.entries(given))
  );
}

/** Of SCHEMA=tidy: an event type, or a glob of some. */
const eventType = z.string("must be an event type, or a glob of some, in quotes").trim()
  .min(1, "must have a name")
  .regex(/^[^,\p{Cc}]*$/u, "must be one event type: make a list of several")
  .max(64, "must be an event type, which has at most 64 characters").refine(
    (type) => !ENTITY_EVENT_TYPES.includes(type),
    `must not be a state, a name or a statistic (${ENTITY_EVENT_TYPES.join(", ")}): ` +
      "domains, entities and entity_globs filter these",
  );

const entityRules = block(z.strictObject({
  domains: listOf(text),
  entities: entityIds,
  entity_globs: listOf(text),
  event_types: listOf(eventType),
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

/** `vol.Coerce(int)`, but for what has a fraction, or is true or false. */
const whole = z.union([z.string(), z.number(), z.bigint()], "must be a whole number")
  .transform((value) => /^\s*([-+]?\d[\d_]*)(?:\.0*)?\s*$/.exec(String(value))?.[1] ?? "")
  .transform((digits) => digits === "" ? NaN : Number(digits.replaceAll("_", "")))
  .pipe(z.number("must be a whole number").min(0, "must not be negative"));

const HOST = "must be a host name or an address alone, without http:// and port";
const PORT = "must be a port, from 1 to 65535";

const connection = z.object({
  api_version: text.pipe(z.enum(["1", "2"], "must be 1 or 2")).optional(),
  host: text.refine(
    (host) => /^(?:[\w.-]+|\[[\da-fA-F:.]+\])$/.test(host),
    { error: HOST, abort: true },
  ).refine(
    (host) => URL.canParse(`http://${host}`),
    "is neither a host name nor an address that can be: the numbers of an address are at most 255",
  ).optional(),
  port: whole.pipe(z.number().min(1, PORT).max(65_535, PORT)).optional(),
  ssl: boolean.optional(),
  ssl_ca_cert: text.optional(),
  path: text.refine((path) => /^[\w./~%-]*$/.test(path), "must be the path of a URL").optional(),
  database: text.optional(),
  username: text.optional(),
  password: secret.optional(),
  token: secret.refine(
    (token) => /^[\x21-\x7e]*$/.test(token),
    "must not hold a space, nor what is no ASCII",
  ).optional(),
  organization: text.optional(),
  bucket: text.optional(),
});

/** The options that a connection is made of. */
export const CONNECTION = connection.keyof().options;

/** The block `influxdb:`, and `attributes:` of SCHEMA=tidy beside it. */
export const fileSchema = block(z.strictObject({
  ...connection.shape,
  verify_ssl: boolean.default(true),
  precision: z.enum(["ms", "s", "us", "ns"], "must be one of ms, s, us, ns").optional(),
  max_retries: whole.optional(),
  measurement_attr: z.enum(
    ["unit_of_measurement", "domain__device_class", "entity_id"],
    "must be one of unit_of_measurement, domain__device_class, entity_id",
  ).optional(),
  default_measurement: text.optional(),
  override_measurement: text.optional(),
  tags: mapOf(name, text),
  tags_attributes: listOf(text),
  ignore_attributes: listOf(text),
  include: entityRules,
  exclude: entityRules,
  attributes: attributeRules,
  component_config: mapOf(entityId, entityConfig),
  component_config_glob: mapOf(name, entityConfig),
  component_config_domain: mapOf(name, entityConfig),
}, "must be a block of options"));

/** The options of the file, as they are named there. */
export type FileOptions = z.output<typeof fileSchema>;

/** The options where no file is set. */
export const NO_FILE: FileOptions = fileSchema.parse({});

/** Every option's name. */
export const NAMES = [
  ...Object.keys(fileSchema.def.out.def.shape),
  ...Object.keys(entityConfig.def.out.def.shape),
  ...Object.keys(entityRules.def.out.def.shape),
];
