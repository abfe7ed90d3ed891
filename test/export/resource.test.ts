import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { createResource } from '../../src/export/resource.ts';
import { hear } from '../telemetry/heard.ts';

function resourceOf(env: Record<string, string>) {
  const heard = hear();
  const made = createResource(env, { version: '1.2.3', diagnostics: heard.diagnostics });
  return { ...made, attributes: made.resource.attributes, heard };
}

describe('the resource', () => {
  test('says who we are without being told', () => {
    const { attributes, service } = resourceOf({});
    assert.equal(attributes['service.name'], 'mcp-verdict');
    assert.equal(attributes['service.version'], '1.2.3');
    assert.match(String(attributes['service.instance.id']), /^[\da-f-]{36}$/);
    assert.equal(typeof attributes['host.name'], 'string');
    assert.equal(attributes['telemetry.sdk.language'], 'nodejs');
    assert.deepEqual(service, {
      name: 'mcp-verdict',
      instanceId: attributes['service.instance.id'],
      version: '1.2.3',
    });
  });

  test('has another instance id in each process', () => {
    assert.notEqual(resourceOf({}).service.instanceId, resourceOf({}).service.instanceId);
  });

  for (const [name, env, expected] of [
    [
      'OTEL_SERVICE_NAME goes first',
      { OTEL_SERVICE_NAME: 'a', OTEL_RESOURCE_ATTRIBUTES: 'service.name=b' },
      'a',
    ],
    ['then OTEL_RESOURCE_ATTRIBUTES', { OTEL_RESOURCE_ATTRIBUTES: 'service.name=b' }, 'b'],
    ['a blank one counts as none', { OTEL_SERVICE_NAME: ' ' }, 'mcp-verdict'],
  ] as const) {
    test(`takes its name: ${name}`, () => {
      const { attributes, service } = resourceOf(env);
      assert.deepEqual([attributes['service.name'], service.name], [expected, expected]);
    });
  }

  for (const [text, expected, bad] of [
    ['a=1,b=two%2C%20three', { a: '1', b: 'two, three' }, []],
    [' a = 1 , ,', { a: '1' }, []],
    ['a=1,bad,b=2', { a: '1', b: '2' }, [2]],
    ['a=1=2,b=%zz,c=3', { c: '3' }, [1, 2]],
    ['=x', {}, [1]],
    ['__proto__=x,constructor=y', { ['__proto__']: 'x', constructor: 'y' }, []],
  ] as const) {
    test(`keeps the good pairs of ${JSON.stringify(text)} and tells the bad ones by their place`, () => {
      const { attributes, heard } = resourceOf({ OTEL_RESOURCE_ATTRIBUTES: text });
      for (const [key, value] of Object.entries(expected)) {
        if (key !== '__proto__') assert.equal(attributes[key], value);
      }
      assert.equal(Object.getPrototypeOf(attributes), Object.prototype);
      assert.deepEqual(
        heard.lines.map((line) => Number(/entry (\d+)/.exec(line)?.[1])),
        bad,
      );
    });
  }

  test('cannot be told that another SDK made it', () => {
    const { attributes } = resourceOf({ OTEL_RESOURCE_ATTRIBUTES: 'telemetry.sdk.language=cobol' });
    assert.equal(attributes['telemetry.sdk.language'], 'nodejs');
  });
});
