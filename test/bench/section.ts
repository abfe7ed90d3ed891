/** What main.ts knows of a section. */

export interface SectionOptions {
  readonly rounds: number;
  /** How long one contender is measured in one round. */
  readonly slotMs: number;
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
