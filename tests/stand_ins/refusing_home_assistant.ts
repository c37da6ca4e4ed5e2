/** A simulated Home Assistant that refuses some commands, as a real one does, and remembers who logged in. */
import { type Client, errorText, type User } from "../simulator/client.ts";
import { SimulatedHomeAssistant } from "../simulator/home_assistant.ts";
import type { Json } from "../simulator/schema.ts";

export class RefusingHomeAssistant extends SimulatedHomeAssistant {
  /** The tokens of all logins, the failed ones too. */
  readonly logins: string[] = [];
  /** Whether a command is refused: as one that the token may not give, or as one that nobody knows. */
  refuses: (message: Json) => "unauthorized" | "unknown_command" | undefined = () => undefined;

  override authenticate(token: string): User | undefined {
    this.logins.push(token);
    return super.authenticate(token);
  }

  override execute(client: Client, id: number, message: Json): boolean {
    const code = this.refuses(message);
    if (code === undefined) return super.execute(client, id, message);
    this.received.push(message);
    if (code === "unknown_command") return false;
    client.send(errorText(id, code, "Unauthorized"));
    return true;
  }
}
