/** A spool's life as steps that a property test can draw: calls, deliveries, and what happens to disks and processes. */
import * as fc from 'fast-check';
import type { OperationName } from './simulated-files.ts';

export type Step =
  | { readonly do: 'commit'; readonly records: number; readonly bytes: number }
  | { readonly do: 'prepare' }
  | { readonly do: 'room'; readonly bytes: number }
  | { readonly do: 'short'; readonly bytes: number }
  | { readonly do: 'fault'; readonly name: OperationName; readonly code: string; readonly nth: number }
  | { readonly do: 'mend' }
  | { readonly do: 'cut'; readonly nth: number }
  | { readonly do: 'crash' }
  | { readonly do: 'kill' }
  | { readonly do: 'stop' }
  | { readonly do: 'unlink' }
  | { readonly do: 'deliver'; readonly records: number }
  | { readonly do: 'flush' }
  | { readonly do: 'retain'; readonly ms: number }
  | { readonly do: 'mark' }
  /** Delivers what there is, and frees what may go: what a quiet hour does. */
  | { readonly do: 'catch_up' }
  | { readonly do: 'adopt' };

const commit: fc.Arbitrary<Step> = fc.record({
  do: fc.constant('commit' as const),
  records: fc.integer({ min: 1, max: 4 }),
  bytes: fc.oneof(fc.nat(400), fc.nat(20_000)),
});

const disturbance: fc.Arbitrary<Step> = fc.oneof(
  fc.constant({ do: 'prepare' as const }),
  fc.record({ do: fc.constant('room' as const), bytes: fc.oneof(fc.nat(1200), fc.nat(40_000)) }),
  fc.record({ do: fc.constant('short' as const), bytes: fc.integer({ min: 300, max: 5000 }) }),
  fc.record({
    do: fc.constant('fault' as const),
    name: fc.constantFrom<OperationName>(
      'write',
      'sync',
      'sync',
      'create',
      'rename',
      'syncDirectory',
      'lock',
    ),
    code: fc.constantFrom('EIO', 'ENOSPC', 'EMFILE', 'EROFS'),
    nth: fc.integer({ min: 1, max: 4 }),
  }),
  fc.constant({ do: 'mend' as const }),
  fc.record({ do: fc.constant('cut' as const), nth: fc.integer({ min: 1, max: 12 }) }),
  fc.constant({ do: 'crash' as const }),
  fc.constant({ do: 'kill' as const }),
  fc.constant({ do: 'stop' as const }),
  fc.constant({ do: 'unlink' as const }),
);

const delivery: fc.Arbitrary<Step> = fc.oneof(
  fc.record({ do: fc.constant('deliver' as const), records: fc.integer({ min: 1, max: 8 }) }),
  fc.constant({ do: 'flush' as const }),
  fc.record({ do: fc.constant('retain' as const), ms: fc.constantFrom(0, 600, 2000) }),
  fc.constant({ do: 'mark' as const }),
  fc.constant({ do: 'catch_up' as const }),
  fc.constant({ do: 'adopt' as const }),
);

export const life: fc.Arbitrary<{ readonly seed: number; readonly steps: readonly Step[] }> = fc.record({
  seed: fc.nat(),
  steps: fc.array(
    fc.oneof(
      { weight: 3, arbitrary: commit },
      { weight: 2, arbitrary: delivery },
      { weight: 1, arbitrary: disturbance },
    ),
    { minLength: 1, maxLength: 40, size: 'max' },
  ),
});
