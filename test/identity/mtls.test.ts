import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import fc from 'fast-check';
import { alternativeNames } from '../../src/identity/mtls.ts';

describe('alternative names', () => {
  test('are read back as they were written, whatever they hold', () => {
    const value = fc.string();
    const label = fc.constantFrom('DNS', 'URI', 'email', 'IP Address');
    fc.assert(
      fc.property(fc.array(fc.tuple(label, value), { maxLength: 5 }), (names) => {
        // As Node does: in quotes where a value could be mistaken for more.
        const text = names.map(
          ([name, value]) => `${name}:${/[",\\\s]/.test(value) ? JSON.stringify(value) : value}`,
        );
        assert.deepEqual(alternativeNames(text.join(', ')), names);
      }),
    );
  });

  test('are not read where they are of no known form, and no text makes the reader fail', () => {
    for (const text of ['DNS', 'DNS:a,b', 'DNS:"a', 'DNS:"a"b, URI:c', ', DNS:a'])
      assert.equal(alternativeNames(text), undefined, text);
    fc.assert(fc.property(fc.string(), (text) => void alternativeNames(text)));
  });
});
