import { createNoopMeter } from '@opentelemetry/api';
import type { Attributes, Counter, Meter, MeterProvider } from '@opentelemetry/api';

/** OTel semantic conventions, SDK metrics (development). */
const PROCESSED = 'otel.sdk.processor.log.processed';

/**
 * BatchLogRecordProcessor drops what its full queue cannot take without a word, but counts it in a metric of its own.
 * This provider hears that counter and ignores all else.
 */
export function hearQueueDrops(onDrop: (records: number) => void): MeterProvider {
  const counter: Counter = {
    add(records: number, attributes?: Attributes) {
      if (attributes?.['error.type'] === 'queue_full') onDrop(records);
    },
  };
  const silent = createNoopMeter();
  const meter: Meter = {
    createGauge: (name, options) => silent.createGauge(name, options),
    createHistogram: (name, options) => silent.createHistogram(name, options),
    createUpDownCounter: (name, options) => silent.createUpDownCounter(name, options),
    createObservableGauge: (name, options) => silent.createObservableGauge(name, options),
    createObservableCounter: (name, options) => silent.createObservableCounter(name, options),
    createObservableUpDownCounter: (name, options) => silent.createObservableUpDownCounter(name, options),
    addBatchObservableCallback: () => {},
    removeBatchObservableCallback: () => {},
    createCounter: (name, options) => (name === PROCESSED ? counter : silent.createCounter(name, options)),
  };
  return { getMeter: () => meter };
}
