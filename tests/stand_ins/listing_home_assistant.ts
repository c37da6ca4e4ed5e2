/** A simulated Home Assistant whose lists are as a test wants them. */
import type { Client } from "../simulator/client.ts";
import { SimulatedHomeAssistant } from "../simulator/home_assistant.ts";
import type { Json } from "../simulator/schema.ts";

export class ListingHomeAssistant extends SimulatedHomeAssistant {
  /** The texts of the lists that it answers, by command. */
  readonly lists = new Map<string, string>();

  override execute(client: Client, id: number, message: Json): boolean {
    const list = this.lists.get(String(message.type));
    if (list === undefined) return super.execute(client, id, message);
    this.received.push(message);
    client.send(`{"id":${id},"type":"result","success":true,"result":${list}}`);
    return true;
  }

  /** What a registry says now, for a test to change. */
  entries(kind: "area" | "floor" | "label" | "device" | "entity"): Record<string, unknown>[] {
    return JSON.parse(this.registries.list(kind));
  }
}
