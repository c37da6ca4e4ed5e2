/** What a kind of measurement has to say. */
export interface Report {
  /** For people. */
  readonly text: string;
  /** All of it, for programs. */
  readonly figures: object;
  /** Nothing of it counts: the machine was busy with something else. */
  readonly isVoid: boolean;
  /** SVG texts, by the names of their files. */
  readonly plots?: ReadonlyMap<string, string>;
}
