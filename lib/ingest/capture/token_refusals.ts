/**
 * Which token Home Assistant has refused, and when the same one may be tried again. Home Assistant
 * counts failed logins by address, forgets them only at a success, and bans the address when they
 * reach `login_attempts_threshold` (homeassistant/components/http/ban.py).
 */
import { getLogger } from "../../log.ts";
import { TokenRefused } from "../hass/connection.ts";

/** So often the same token is tried before it is held back. */
const TRIES = 2;

export interface TokenRefusalTimes {
  /** After the first refusal, in milliseconds: Home Assistant may not have been ready. */
  readonly refusedWaitMs: number;
  /** After the second one and each later one, in milliseconds. */
  readonly heldBackMs: number;
}

const log = getLogger("ingest", "capture");

export class TokenRefusals {
  readonly #times: TokenRefusalTimes;
  readonly #banned: boolean;
  #token: string | undefined;
  #count = 0;
  #againMs = 0;
  #error = new TokenRefused("");

  /**
   * `banned` is false where failed logins get nobody banned: the Supervisor does not count them,
   * and while it starts it does not know the tokens of its apps yet.
   */
  constructor(times: TokenRefusalTimes, banned: boolean) {
    this.#times = times;
    this.#banned = banned;
  }

  /** Throws the refusal of before where this very token must not be tried yet. */
  check(token: string): void {
    if (token === this.#token && performance.now() < this.#againMs) throw this.#error;
  }

  /** Takes note of why a connection with that token failed. Returns the error to throw for it. */
  noted(token: string, error: unknown): unknown {
    if (!(error instanceof TokenRefused)) return error;
    this.#count = token === this.#token ? this.#count + 1 : 1;
    this.#token = token;
    const heldBack = this.#banned && this.#count >= TRIES;
    const { refusedWaitMs, heldBackMs } = this.#times;
    this.#againMs = performance.now() + (heldBack ? heldBackMs : refusedWaitMs);
    this.#error = new TokenRefused(error.message, heldBack);
    if (heldBack) {
      log.error(
        "HASS_TOKEN was refused {count} times: the same token is tried again in {hours} h or at " +
          "a restart, for Home Assistant may ban this address after more failed logins",
        { count: this.#count, hours: heldBackMs / 3_600_000 },
      );
    }
    return this.#error;
  }

  /** Home Assistant has taken a token, and forgotten the failed logins. */
  forget(): void {
    this.#token = undefined;
  }
}
