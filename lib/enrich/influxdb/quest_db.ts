/** QuestDB takes what is written to InfluxDB, and is none. Tried with 9.3.4. */
import type { StoreNote } from "../store.ts";

/** Whether these are the headers of an answer of QuestDB's. */
export function isQuestDb(headers: Headers): boolean {
  return /^questDB\b/i.test(headers.get("server") ?? "");
}

/** What a person should know about it. */
export const QUESTDB_NOTE: StoreNote = {
  name: "questdb",
  reason:
    "QuestDB answers at INFLUXDB_URL, and is no InfluxDB: it refuses events with an attribute " +
    "whose name holds one of - . / ? ' \" : ( ) % * + ~, and any with the attribute timestamp, as " +
    "each input_datetime has; what is sent again is stored twice",
  action:
    "write to InfluxDB or VictoriaMetrics; or leave those attributes out (CONFIG_FILE), and let " +
    "its tables have DEDUP UPSERT KEYS",
};
