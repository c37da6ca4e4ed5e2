/** What every event passes, function by function: `deno task bench:functions`. */
import { envelopeSchema, eventSchema } from "../lib/contract.ts";
import { toLine } from "../lib/enrich/influxdb/line.ts";
import { schemaOf } from "../lib/enrich/schema.ts";
import { envelopeLine } from "../lib/ingest/outbox/envelope.ts";
import { readFrame } from "../lib/ingest/hass/protocol.ts";
import { isPlainEnvelope } from "../lib/enrich/plain_event.ts";
import { memberText } from "../lib/json_text.ts";
import { parseTimeUs } from "../lib/time.ts";
import { SimulatedHomeAssistant } from "../tests/simulator/home_assistant.ts";
import { floorLine } from "./floor.ts";
import { numberedHouse, NumberedSensor } from "./numbered_house.ts";

const EVENTS_PER_FRAME = 100;
const FIRST_US = 1_800_000_000_000_001;

const { states } = new SimulatedHomeAssistant({ house: numberedHouse(), recorder: false });
const sensors = states.all().map((state) => new NumberedSensor(state));
const texts = Array.from(
  { length: EVENTS_PER_FRAME },
  (_, i) => sensors[i].next(i, FIRST_US + i),
);
const text = sensors[0].next(EVENTS_PER_FRAME, FIRST_US + EVENTS_PER_FRAME);
const message = `{"type":"event","event":${text},"id":2}`;
const frame = `[${texts.map((event) => `{"type":"event","event":${event},"id":2}`).join(",")}]`;
const registry = { name: "Outlet 0", area: "Kitchen", floor: "Ground floor", device: "Plug 0" };
const line = envelopeLine(text, { registry, source: undefined });
const event: unknown = JSON.parse(text);
const json: unknown = JSON.parse(line);
const envelope = envelopeSchema.parse(json);
const time = envelope.event.time_fired;
const schema = schemaOf({ schema: "tidy", attributes: "standard", file: undefined });
const enrichment = schema(envelope, () => text);
if (enrichment.kind !== "point") throw new Error("The event of the benchmark becomes no point");
const { point } = enrichment;
const { data } = JSON.parse(text);

Deno.bench("both: JSON.parse of an event", () => void JSON.parse(text));
Deno.bench("both: parseTimeUs", () => void parseTimeUs(time));
Deno.bench(`ingest: readFrame of ${EVENTS_PER_FRAME} events`, () => void readFrame(frame));
Deno.bench("ingest: the event's text out of its message", () => void memberText(message, "event"));
Deno.bench("ingest: envelopeLine", () => void envelopeLine(text, { registry, source: undefined }));
Deno.bench("enrich: the event's text out of its line", () => void memberText(line, "event"));
Deno.bench("enrich: eventSchema", () => void eventSchema.parse(event));
Deno.bench("enrich: envelopeSchema", () => void envelopeSchema.parse(json));
Deno.bench("enrich: isPlainEnvelope", () => void isPlainEnvelope(json));
Deno.bench("enrich: event → point, by SCHEMA=tidy", () => void schema(envelope, () => text));
Deno.bench("enrich: toLine", () => void toLine(point, 2));
Deno.bench("floor: floorLine", () => void floorLine(data.entity_id, data.new_state));
