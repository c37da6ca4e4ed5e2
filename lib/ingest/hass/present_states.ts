/** What get_states says: the present state of every entity, by its exact text. */
import { z } from "zod";
import { elementTexts, memberText } from "../../json_text.ts";
import { parseTimeUs } from "../../time.ts";
import type { Connection } from "./connection.ts";

export interface PresentState {
  readonly entityId: string;
  /** The state's own text. */
  readonly text: string;
  readonly friendlyName: string | undefined;
  /** As Home Assistant wrote it. */
  readonly lastUpdated: string;
  readonly lastUpdatedUs: number;
}

const stateHead = z.object({
  entity_id: z.string(),
  last_updated: z.string(),
  attributes: z.looseObject({ friendly_name: z.string().optional().catch(undefined) }).catch({}),
});

/** Asks for all states. One that cannot be read is left out. Throws what `command` throws. */
export async function presentStates(connection: Connection): Promise<PresentState[]> {
  const { text: message } = await connection.list("get_states");
  return elementTexts(memberText(message, "result") ?? "[]").flatMap((text) => {
    const head = stateHead.safeParse(JSON.parse(text));
    if (!head.success) return [];
    const { entity_id: entityId, last_updated: lastUpdated, attributes } = head.data;
    const lastUpdatedUs = parseTimeUs(lastUpdated);
    return lastUpdatedUs === undefined
      ? []
      : [{ entityId, text, friendlyName: attributes.friendly_name, lastUpdated, lastUpdatedUs }];
  });
}

/** The state_changed that nobody heard: what it replaced is not known. */
export function unseenStateText({ entityId, text, lastUpdated }: PresentState): string {
  return `{"event_type":"state_changed","data":{"entity_id":${JSON.stringify(entityId)},` +
    `"old_state":null,"new_state":${text}},"origin":"LOCAL","time_fired":"${lastUpdated}"}`;
}

/** The regular snapshot of a state, dated by Home Assistant's clock. */
export function stateSnapshotText({ entityId, text }: PresentState, timeFired: string): string {
  return `{"event_type":"state_snapshot","data":{"entity_id":${JSON.stringify(entityId)},` +
    `"new_state":${text}},"origin":"LOCAL","time_fired":"${timeFired}"}`;
}
