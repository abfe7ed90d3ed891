/** Holds a dashboard against the types that Grafana publishes of it, by the TypeScript compiler. */
import { spawnSync } from 'node:child_process';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';

const MODULES = fileURLToPath(new URL('../../node_modules', import.meta.url));
const TYPES = join(MODULES, '@grafana/schema/dist/types/raw');

/** The types of what a panel of each kind can be told, and of how it draws a series. */
const OPTIONS: Readonly<Record<string, string>> = {
  stat: 'Stat.Options',
  bargauge: 'BarGauge.Options',
  timeseries: 'TimeSeries.Options',
  logs: 'Logs.Options',
};

export interface PanelShape {
  readonly type: string;
  readonly options: unknown;
  readonly fieldConfig: { readonly defaults: { readonly custom?: unknown } };
}

/**
 * @param dir an empty directory of the caller's own
 * @returns what the compiler has against it; empty where it fits
 */
export function misshapen(dashboard: { readonly panels: readonly PanelShape[] }, dir: string): string {
  const imports = [
    ['Dashboard', 'dashboard/x'],
    ['Stat', 'composable/stat/panelcfg/x'],
    ['BarGauge', 'composable/bargauge/panelcfg/x'],
    ['TimeSeries', 'composable/timeseries/panelcfg/x'],
    ['Logs', 'composable/logs/panelcfg/x'],
  ].map(
    ([name, path]) =>
      `import type * as ${name} from ${JSON.stringify(join(TYPES, `${path}/types.gen.d.ts`))};`,
  );
  const held = (value: unknown, type: string): string =>
    `void (${JSON.stringify(value)} satisfies Written<${type}>);`;
  const lines = [
    ...imports,
    // In JSON an enumeration is its text, and what has a default may be left out.
    'type Written<T> = T extends string ? `${T}` : T extends object ? { [K in keyof T]?: Written<T[K]> } : T;',
    held(dashboard, 'Dashboard.Dashboard'),
    ...dashboard.panels.map(({ type, options }) =>
      held(options, OPTIONS[type] ?? `never /* no panel ${type} */`),
    ),
    ...dashboard.panels
      .filter(({ type }) => type === 'timeseries')
      .map(({ fieldConfig }) => held(fieldConfig.defaults.custom ?? {}, 'TimeSeries.FieldConfig')),
  ];
  writeFileSync(join(dir, 'dashboard.ts'), lines.join('\n'));
  const compilerOptions = {
    module: 'nodenext',
    strict: true,
    noEmit: true,
    skipLibCheck: true,
    allowImportingTsExtensions: true,
    types: [],
  };
  writeFileSync(join(dir, 'tsconfig.json'), JSON.stringify({ compilerOptions, files: ['dashboard.ts'] }));
  const { stdout, stderr } = spawnSync(join(MODULES, '.bin/tsc'), ['-p', dir], { encoding: 'utf8' });
  return stdout + stderr;
}
