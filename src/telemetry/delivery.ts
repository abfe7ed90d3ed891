/** Why a record did not arrive. */
export const LOSS_REASONS = ['queue_full', 'export_failed', 'rejected', 'after_shutdown'] as const;

export type LossReason = (typeof LOSS_REASONS)[number];

/** What became of the records of one pipeline, in records. */
export interface Delivery {
  /** Handed to the pipeline. What is neither delivered nor lost is still under way, or has no exporter to go to. */
  readonly emitted: number;
  /** Acknowledged by the first hop. */
  readonly delivered: number;
  readonly lost: Readonly<Record<LossReason, number>>;
}
