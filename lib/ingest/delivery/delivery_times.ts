/** How long and how often delivery tries, in milliseconds; injected so that tests need not wait. */
export interface DeliveryTimes {
  /** So long after a batch of few events was sent more are gathered for the next one; twice as long after one of several. */
  readonly gatherMs: number;
  readonly quickDeadlineMs: number;
  readonly quickPausesMs: readonly number[];
  readonly patientDeadlineMs: number;
  readonly backoffBaseMs: number;
  readonly backoffMaxMs: number;
  /** What a limit of the store holds is tried again so far apart, at first and at most. */
  readonly limitedMinMs: number;
  readonly limitedMaxMs: number;
}

export const DELIVERY_TIMES: DeliveryTimes = {
  gatherMs: 50,
  quickDeadlineMs: 5_000,
  quickPausesMs: [500, 1_000],
  patientDeadlineMs: 30_000,
  backoffBaseMs: 1_000,
  backoffMaxMs: 30_000,
  limitedMinMs: 60_000,
  limitedMaxMs: 3_600_000,
};
