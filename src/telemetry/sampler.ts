import {
  AlwaysOffSampler,
  AlwaysOnSampler,
  ParentBasedSampler,
  TraceIdRatioBasedSampler,
} from '@opentelemetry/sdk-trace';
import type { Sampler } from '@opentelemetry/sdk-trace';
import type { Diagnostics } from './diagnostics.ts';
import { readText } from './environment.ts';
import type { Environment } from './environment.ts';

const SAMPLERS = {
  always_on: () => new AlwaysOnSampler(),
  always_off: () => new AlwaysOffSampler(),
  traceidratio: (ratio) => new TraceIdRatioBasedSampler(ratio),
  parentbased_always_on: () => new ParentBasedSampler({ root: new AlwaysOnSampler() }),
  parentbased_always_off: () => new ParentBasedSampler({ root: new AlwaysOffSampler() }),
  parentbased_traceidratio: (ratio) => new ParentBasedSampler({ root: new TraceIdRatioBasedSampler(ratio) }),
} as const satisfies Record<string, (ratio: number) => Sampler>;

const SAMPLER_DEFAULT = 'parentbased_always_on';
const RATIO_DEFAULT = 1;

/** OTEL_TRACES_SAMPLER and its _ARG, which only the SDK's all-in-one package reads. */
export function readSampler(env: Environment, diagnostics: Diagnostics): Sampler {
  const name = readText(env, 'OTEL_TRACES_SAMPLER') ?? SAMPLER_DEFAULT;
  const known = isSampler(name) ? name : undefined;
  if (known === undefined) {
    diagnostics.warn(
      `OTEL_TRACES_SAMPLER takes ${Object.keys(SAMPLERS).join(', ')}: ${SAMPLER_DEFAULT} is used instead`,
    );
  }
  return SAMPLERS[known ?? SAMPLER_DEFAULT](
    known?.endsWith('ratio') ? readRatio(env, diagnostics) : RATIO_DEFAULT,
  );
}

function isSampler(name: string): name is keyof typeof SAMPLERS {
  return Object.hasOwn(SAMPLERS, name);
}

function readRatio(env: Environment, diagnostics: Diagnostics): number {
  const ratio = Number(readText(env, 'OTEL_TRACES_SAMPLER_ARG') ?? RATIO_DEFAULT);
  if (ratio >= 0 && ratio <= 1) return ratio;
  diagnostics.warn(`OTEL_TRACES_SAMPLER_ARG must be a number from 0 to 1: ${RATIO_DEFAULT} is used instead`);
  return RATIO_DEFAULT;
}
