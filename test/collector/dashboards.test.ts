/**
 * The dashboards of collector-config/: that Grafana can read their queries, and that these find what they are for. The
 * grammar is Grafana's own; the data is that of the demo, in VictoriaLogs and not in Loki; no Grafana has drawn them.
 */
import assert from 'node:assert/strict';
import { mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { parse } from 'yaml';
import { runCli } from '../support/cli.ts';
import { COLLECTOR_CONFIG_DIRECTORY, eventually, startCollector } from '../support/collector.ts';
import { skipWithoutDestinations } from '../support/fan-out/kinds.ts';
import { misshapen, type PanelShape } from '../support/grafana-shape.ts';
import { parseLogQl, templateNames, toLogsQl, VALUE } from '../support/logql.ts';
import {
  basicAuthorization,
  startVictoriaLogs,
  VICTORIA_LOGS_USER,
  type Row,
  type VictoriaLogs,
} from '../support/victoria-logs.ts';

const DIRECTORY = join(COLLECTOR_CONFIG_DIRECTORY, 'dashboards');
const TIMEOUT_MS = 90_000;

interface Target {
  readonly expr: string;
  readonly legendFormat: string;
  readonly queryType: string;
  readonly datasource: unknown;
}

interface Panel extends PanelShape {
  readonly id: number;
  readonly title: string;
  readonly datasource: unknown;
  readonly gridPos: Readonly<Record<'x' | 'y' | 'w' | 'h', number>>;
  readonly targets: readonly Target[];
}

interface Dashboard {
  readonly uid: string;
  readonly title: string;
  readonly schemaVersion: number;
  readonly templating: { readonly list: readonly { readonly name: string; readonly current: unknown }[] };
  readonly panels: readonly Panel[];
}

// The tests below fail where it is another shape.
const dashboard = JSON.parse(readFileSync(join(DIRECTORY, 'decisions.json'), 'utf8')) as Dashboard;

/** Grafana's own variables and the dashboard's, as they are when it opens. */
function expanded(query: string): string {
  return query.replaceAll(/\$(\w+)/g, (_, name: string) => {
    if (name === '__auto' || name === '__range') return '6h';
    assert.ok(name === 'service' && dashboard.templating.list.some((each) => each.name === name), name);
    return 'mcp-verdict';
  });
}

describe('the dashboard', () => {
  test('is one that Grafana can lay out: ids differ, and no panel covers another', () => {
    assert.match(dashboard.uid, /^[\w-]{1,40}$/);
    assert.ok(dashboard.schemaVersion >= 39);
    const { panels } = dashboard;
    assert.equal(new Set(panels.map(({ id }) => id)).size, panels.length);
    assert.equal(new Set(panels.map(({ title }) => title)).size, panels.length);
    const taken = new Set<string>();
    for (const { title, gridPos } of panels) {
      assert.ok(gridPos.x + gridPos.w <= 24, title);
      for (let x = gridPos.x; x < gridPos.x + gridPos.w; x += 1) {
        for (let y = gridPos.y; y < gridPos.y + gridPos.h; y += 1) {
          assert.ok(!taken.has(`${x} ${y}`), `${title} covers another panel`);
          taken.add(`${x} ${y}`);
        }
      }
    }
  });

  test('has the shape that Grafana publishes of dashboards and their panels', (t) => {
    const dir = mkdtempSync(join(tmpdir(), 'mcp-verdict-dashboards-'));
    t.after(() => rmSync(dir, { recursive: true, force: true }));
    assert.equal(misshapen(dashboard, dir), '');
    const [first, ...others] = dashboard.panels;
    assert.ok(first !== undefined);
    for (const [spoiled, said] of [
      [{ ...first, options: { colorMode: 'colourful' } }, /"colourful"/],
      [{ ...first, type: 'pie' }, /never/],
    ] as const)
      assert.match(misshapen({ ...dashboard, panels: [spoiled, ...others] }, dir), said);
  });

  test('asks one data source, which whoever imports it can choose', () => {
    const source = { type: 'loki', uid: '${datasource}' };
    for (const panel of dashboard.panels)
      for (const { datasource } of [panel, ...panel.targets]) assert.deepEqual(datasource, source);
    assert.ok(dashboard.templating.list.some(({ name }) => name === 'datasource'));
  });

  test('asks in LogQL, and legends name what the query groups by', () => {
    for (const { title, targets } of dashboard.panels) {
      for (const { expr, legendFormat } of targets) {
        parseLogQl(expanded(expr));
        const groups = /by \(([^)]*)\)/.exec(expr)?.[1]?.split(', ') ?? [];
        for (const name of templateNames(legendFormat)) assert.ok(groups.includes(name), `${title}: ${name}`);
      }
    }
  });

  test('a query that is not LogQL, or asks for what no record has, would be found', () => {
    assert.throws(() => toLogsQl('sum by (user_id) (count_over_time({service_name="a"} [5m])'), /not LogQL/);
    assert.throws(
      () => toLogsQl('sum by (userid) (count_over_time({service_name="a"} [5m]))'),
      /no record has userid/,
    );
    assert.throws(() => toLogsQl('{service_name="a"} | json | user_id="b"'), /another kind/);
  });

  test('so do the searches in the README', () => {
    const readme = readFileSync(join(COLLECTOR_CONFIG_DIRECTORY, 'README.md'), 'utf8');
    const searches = [...readme.matchAll(/^```logql\n(.*?)\n```$/gms)].map(([, query = '']) => query);
    assert.equal(searches.length, 2);
    for (const query of searches) parseLogQl(query);
  });

  test('is provided where it is mounted, with the data source that it is made for', () => {
    const { providers } = parse(readFileSync(join(DIRECTORY, 'dashboards.yaml'), 'utf8')) as {
      readonly providers: readonly { readonly options: { readonly path: string } }[];
    };
    assert.deepEqual(
      providers.map(({ options }) => options.path),
      ['/var/lib/grafana/dashboards'],
    );
    const { datasources } = parse(readFileSync(join(DIRECTORY, 'datasources.yaml'), 'utf8')) as {
      readonly datasources: readonly { readonly type: string; readonly url: string }[];
    };
    assert.deepEqual(
      datasources.map(({ type, url }) => [type, url]),
      [['loki', '${LOKI_URL}']],
    );
    assert.deepEqual(
      readdirSync(DIRECTORY).filter((name) => name.endsWith('.json')),
      ['decisions.json'],
    );
  });
});

describe(
  'the dashboard, with the records of the demo',
  { skip: skipWithoutDestinations(), timeout: TIMEOUT_MS },
  () => {
    const dir = mkdtempSync(join(tmpdir(), 'mcp-verdict-dashboards-'));
    let store: VictoriaLogs;
    let bodies: readonly Readonly<Record<string, unknown>>[] = [];

    before(async () => {
      store = await startVictoriaLogs(dir);
      const collector = await startCollector({
        dir: join(dir, 'collector'),
        configs: ['base.yaml', 'destinations/loki.yaml'],
        env: {
          LOKI_ENDPOINT: `${store.url}/insert/opentelemetry`,
          LOKI_AUTHORIZATION: basicAuthorization(VICTORIA_LOGS_USER),
        },
      });
      const { code, stderr } = await runCli(['demo'], {
        env: {
          OTEL_EXPORTER_OTLP_ENDPOINT: collector.httpEndpoint,
          OTEL_TRACES_EXPORTER: 'none',
          OTEL_METRICS_EXPORTER: 'none',
        },
      });
      assert.equal(code, 0, stderr);
      bodies = await eventually(
        async () => {
          const found = (await store.query('*')).map(({ _msg: body = '' }) => JSON.parse(body) as Body);
          return found.some((body) => body['verdict.lifecycle.state'] === 'stop') ? found : undefined;
        },
        { what: 'the last record of the demo', state: collector.output },
      );
      await collector.stop();
    });
    after(async () => {
      await store.kill();
      rmSync(dir, { recursive: true, force: true });
    });

    type Body = Readonly<Record<string, unknown>>;
    const isDecision = (body: Body): boolean => body['event.name'] === 'verdict.decision';
    const isOutcome = (body: Body): boolean => body['event.name'] === 'verdict.outcome';
    const isDenied = (body: Body): boolean => body['verdict.decision.effect'] === 'deny';

    const textOf = (value: unknown): string => (typeof value === 'string' ? value : '');

    /** Counted from the bodies, without any query. */
    const counted = (select: (body: Body) => boolean, ...by: readonly string[]): Record<string, number> => {
      const counts: Record<string, number> = {};
      for (const body of bodies.filter(select)) {
        const group = by.map((key) => textOf(body[key])).join(' ');
        counts[group] = (counts[group] ?? 0) + 1;
      }
      return counts;
    };
    const rowsOf = async (title: string): Promise<readonly (readonly Row[])[]> => {
      const { targets } = dashboard.panels.find((panel) => panel.title === title)!;
      return await Promise.all(targets.map(({ expr }) => store.query(toLogsQl(expanded(expr)))));
    };
    const tally = async (title: string, ...by: readonly string[]): Promise<Record<string, number>> => {
      const [rows = []] = await rowsOf(title);
      return Object.fromEntries(
        rows.map((row) => [by.map((key) => row[key] ?? '').join(' '), Number(row[VALUE])]),
      );
    };

    const COUNTS: Readonly<Record<string, readonly [(body: Body) => boolean, ...string[]]>> = {
      Decisions: [isDecision],
      Denied: [isDenied],
      'Calls that failed': [(body) => isOutcome(body) && body['verdict.outcome.status'] !== 'ok'],
      'Decisions by effect': [isDecision, 'verdict.decision.effect'],
      'Why it was denied': [isDenied, 'verdict.decision.reason'],
      'Top denied tools': [
        (body) => isDenied(body) && body['gen_ai.tool.name'] !== undefined,
        'verdict.server.name',
        'gen_ai.tool.name',
      ],
      'Top denied identities': [
        isDenied,
        'user.id',
        'gen_ai.agent.id',
        'verdict.identity.source',
        'client.address',
      ],
      Outcomes: [isOutcome, 'verdict.outcome.status'],
    };

    for (const [title, [select, ...by]] of Object.entries(COUNTS)) {
      test(`${title}: counts what happened`, async () => {
        const expected = counted(select, ...by);
        assert.ok(Object.keys(expected).length > 0, 'the demo has nothing of that');
        assert.deepEqual(await tally(title, ...by), expected);
      });
    }

    for (const [title, key] of [
      ['Latency of a decision', 'verdict.decision.duration_ns'],
      ['Latency of an outcome', 'verdict.outcome.duration_ns'],
    ] as const) {
      test(`${title}: the quantiles lie between the fastest and the slowest, in their order`, async () => {
        const durations = bodies.map((body) => body[key]).filter((value) => typeof value === 'number');
        const quantiles = (await rowsOf(title)).map(([row]) => Number(row?.[VALUE]));
        assert.equal(quantiles.length, 3);
        const inOrder = [Math.min(...durations), ...quantiles, Math.max(...durations)];
        assert.deepEqual(
          inOrder,
          inOrder.toSorted((a, b) => a - b),
        );
      });
    }

    test('Delivery lag: the process of the demo, and less than it took', async () => {
      const lags = await tally('Delivery lag', 'service.instance.id');
      assert.deepEqual(Object.keys(lags), [String(bodies[0]?.['service.instance.id'])]);
      for (const lag of Object.values(lags)) assert.ok(lag > 0 && lag < TIMEOUT_MS / 1000, `${lag} s`);
    });

    test('Losses on record: none', async () => {
      assert.deepEqual(await tally('Losses on record'), { '': 0 });
    });

    test('Newest denials: each of them', async () => {
      const [rows = []] = await rowsOf('Newest denials');
      assert.equal(rows.length, bodies.filter(isDenied).length);
    });

    test('no panel is left out of the tests above', () => {
      const others = [
        'Latency of a decision',
        'Latency of an outcome',
        'Delivery lag',
        'Losses on record',
        'Newest denials',
      ];
      assert.deepEqual(
        dashboard.panels.map(({ title }) => title).toSorted(),
        [...Object.keys(COUNTS), ...others].toSorted(),
      );
    });
  },
);
