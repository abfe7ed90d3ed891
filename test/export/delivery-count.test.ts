import assert from 'node:assert/strict';
import { test } from 'node:test';
import { createDeliveryCount } from '../../src/export/delivery-count.ts';

test('when the books are closed, what is under way is lost, and a late answer changes nothing', () => {
  const count = createDeliveryCount();
  for (let i = 0; i < 10; i++) count.emitted();
  count.delivered(3);
  count.lost('queue_full', 2);
  const closed = count.close('export_failed');
  assert.deepEqual(closed, {
    emitted: 10,
    delivered: 3,
    lost: { queue_full: 2, export_failed: 5, rejected: 0, after_shutdown: 0 },
  });
  count.delivered(5);
  count.lost('export_failed', 5);
  count.lost('rejected', 5);
  assert.deepEqual(count.close('export_failed'), closed);

  count.emitted();
  count.lost('after_shutdown', 1);
  const { emitted, lost } = count.read();
  assert.deepEqual([emitted, lost.after_shutdown], [11, 1]);
});
