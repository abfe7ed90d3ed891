import type { Delivery, LossReason } from '../telemetry/delivery.ts';

export interface DeliveryCount {
  emitted(): void;
  delivered(records: number): void;
  lost(reason: LossReason, records: number): void;
  read(): Delivery;
  /** Counts what is still under way as lost to `reason`, and from then on counts nothing more. */
  close(reason: LossReason): Delivery;
}

export function createDeliveryCount(): DeliveryCount {
  let emitted = 0;
  let delivered = 0;
  let closed = false;
  const lost = { queue_full: 0, export_failed: 0, rejected: 0, after_shutdown: 0 };

  const read = (): Delivery => ({ emitted, delivered, lost: { ...lost } });

  return {
    emitted() {
      emitted += 1;
    },
    delivered(records) {
      if (!closed) delivered += records;
    },
    lost(reason, records) {
      // A record handed over after the end is a new one: it is in no earlier count.
      if (!closed || reason === 'after_shutdown') lost[reason] += records;
    },
    read,
    close(reason) {
      if (closed) return read();
      closed = true;
      const settled = delivered + Object.values(lost).reduce((sum, records) => sum + records, 0);
      lost[reason] += emitted - settled;
      return read();
    },
  };
}
