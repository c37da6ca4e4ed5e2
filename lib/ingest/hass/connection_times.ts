/** How long a connection waits for what. */

/** How long is waited for what, in milliseconds; injected so that tests need not wait. */
export interface ConnectionTimes {
  /** For opening and authenticating: Home Assistant itself drops a silent socket after 10 s. */
  readonly openDeadlineMs: number;
  readonly commandDeadlineMs: number;
  /** For lists of all states or all entries: 20 MB at 5 Mbit/s take 32 s. */
  readonly listDeadlineMs: number;
  /**
   * After this much silence Home Assistant is asked whether it is still there, unless the answer to
   * a command may be on its way: then at that command's deadline.
   */
  readonly silenceMs: number;
  readonly pongDeadlineMs: number;
}

export const CONNECTION_TIMES: ConnectionTimes = {
  openDeadlineMs: 10_000,
  commandDeadlineMs: 30_000,
  listDeadlineMs: 120_000,
  silenceMs: 15_000,
  pongDeadlineMs: 10_000,
};
