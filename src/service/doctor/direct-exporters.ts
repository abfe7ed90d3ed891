/** Exporters that write without a collector. They are made, as at a start, and given nothing. */
import { accessSync, constants } from 'node:fs';
import { dirname } from 'node:path';
import type { Environment } from '../../config.ts';
import { VerdictError } from '../../errors.ts';
import type { ExporterPlan } from '../../export/delivery-message.ts';
import { makeExporter } from '../../export/make-exporter.ts';
import type { Diagnostics } from '../../telemetry/diagnostics.ts';
import type { Finding } from './finding.ts';

export interface DirectOptions {
  readonly plans: readonly ExporterPlan[];
  readonly env: Environment;
  /** Ours. */
  readonly version: string;
  readonly diagnostics: Diagnostics;
}

export async function findDirectExporters({ plans, ...options }: DirectOptions): Promise<Finding[]> {
  const findings: Finding[] = [];
  for (const plan of plans) {
    const base = { check: 'endpoint', subject: plan.name } as const;
    try {
      await makeExporter(plan, options).shutdown();
      findings.push({ ...base, ...examined(plan) });
    } catch (error) {
      if (!(error instanceof VerdictError)) throw error;
      findings.push({ ...base, level: 'fail', found: error.message, exit: 3 });
    }
  }
  return findings;
}

function examined(plan: ExporterPlan): Pick<Finding, 'level' | 'found' | 'advice'> {
  if (plan.kind !== 'file') {
    return { level: 'ok', found: `its settings (${plan.kind}) are good; nothing was sent to try it` };
  }
  const { path, format } = plan.file;
  const directory = dirname(path);
  try {
    accessSync(directory, constants.W_OK | constants.X_OK);
    return { level: 'ok', found: `${directory} can be written (${format}); nothing was written to try it` };
  } catch {
    const advice = 'Records would wait for it: give it to the user that serves';
    return { level: 'fail', found: `${directory} cannot be written by this user`, advice };
  }
}
