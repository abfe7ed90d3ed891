/** What main.ts knows of a section. */

export interface SectionOptions {
  readonly rounds: number;
  /** How long one contender is measured in one round. */
  readonly slotMs: number;
  /**
   * How many calls each contender makes before the first round. By calls and not by time, because a busy machine
   * compiles late: until then a call costs up to twice as much.
   */
  readonly warmUpCalls: number;
  /** How many records, where a section works on a number of them. */
  readonly records: number | undefined;
  /** Empty; removed after the section. On the disk that is measured. */
  readonly directory: string;
  /** For what goes wrong, and for progress; not the table. */
  readonly say: (text: string) => void;
}

export interface Section {
  readonly name: string;
  /** @returns Markdown */
  run(options: SectionOptions): Promise<string>;
}
