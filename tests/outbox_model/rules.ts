/**
 * Promises that can be switched on one by one, in RULES below. Where one is `false` the histories do
 * not ask for it; everything else is still tested.
 */
export interface Rules {
  /**
   * What was refused while nothing could be written is counted with the next commit that moves
   * events, and by a clean close where there is room.
   */
  readonly refusedAreCountedWithTheNextCommit: boolean;
  /** A file that exists can be opened on a disk without a free byte. */
  readonly opensOnAFullDisk: boolean;
  /**
   * Dead letters have a fifth of the cap: where a new one needs room the oldest give way, counted as
   * dropped `dead_letters_full`. So there is always room for new events once nothing waits.
   */
  readonly deadLettersLeaveRoom: boolean;
  /** A gap that could not be written is remembered, and written with the next commit that can be. */
  readonly gapsAreRemembered: boolean;
}

export const RULES: Rules = {
  refusedAreCountedWithTheNextCommit: false,
  opensOnAFullDisk: false,
  deadLettersLeaveRoom: false,
  gapsAreRemembered: false,
};
