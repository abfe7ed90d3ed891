import assert from 'node:assert/strict';
import { test } from 'node:test';
import { readSampler } from '../../src/telemetry/sampler.ts';
import { hear } from './heard.ts';

const ON = 'AlwaysOnSampler';
const OFF = 'AlwaysOffSampler';

for (const [name, arg, expected, warning] of [
  [undefined, undefined, `ParentBased{root=${ON}`, undefined],
  ['always_on', undefined, ON, undefined],
  ['always_off', undefined, OFF, undefined],
  ['traceidratio', '0.25', 'TraceIdRatioBased{0.25}', undefined],
  ['traceidratio', undefined, 'TraceIdRatioBased{1}', undefined],
  ['traceidratio', '1.5', 'TraceIdRatioBased{1}', /_ARG must be a number from 0 to 1/],
  ['traceidratio', 'half', 'TraceIdRatioBased{1}', /_ARG must be a number from 0 to 1/],
  ['always_on', 'half', ON, undefined],
  ['parentbased_always_off', undefined, `ParentBased{root=${OFF}`, undefined],
  ['parentbased_traceidratio', '0.5', 'ParentBased{root=TraceIdRatioBased{0.5}', undefined],
  ['jaeger_remote', undefined, `ParentBased{root=${ON}`, /OTEL_TRACES_SAMPLER takes always_on, /],
  ['toString', undefined, `ParentBased{root=${ON}`, /OTEL_TRACES_SAMPLER takes/],
] as const) {
  test(`OTEL_TRACES_SAMPLER=${name} with ${arg} is ${expected}`, () => {
    const heard = hear();
    const env = { OTEL_TRACES_SAMPLER: name, OTEL_TRACES_SAMPLER_ARG: arg };
    assert.ok(String(readSampler(env, heard.diagnostics)).startsWith(expected));
    if (warning === undefined) assert.deepEqual(heard.lines, []);
    else assert.match(heard.text(), warning);
  });
}
