/**
 * The part of LogQL that our dashboards use, read by Grafana's own grammar and said in LogsQL, so that VictoriaLogs can
 * answer it. Throws for whatever it does not know: nothing is left out in silence.
 */
import { parser } from '@grafana/lezer-logql';
import { KEYS } from '../../src/event/vocabulary.ts';

/** Of the tree that Grafana's parser gives. */
type Node = ReturnType<typeof parser.parse>['topNode'];

/** As Loki writes the names of what stands beside a line, and as we do. */
const NAMES = new Map(
  [...KEYS.map(({ key }) => key), 'delivery.lag_seconds'].map((key) => [key.replaceAll('.', '_'), key]),
);

/** The rows of a metric query have its number under this name. */
export const VALUE = 'value';

/** Throws with the place where a query is not LogQL. */
export function parseLogQl(query: string): Node {
  const tree = parser.parse(query);
  tree.iterate({
    enter({ type, from }) {
      if (type.isError) throw new Error(`not LogQL at ${from}: ${query}`);
    },
  });
  return tree.topNode;
}

/**
 * One LogsQL query for a whole time range: Loki answers a range query for each step of it.
 * @param query without variables
 */
export function toLogsQl(query: string): string {
  const text = (node: Node): string => query.slice(node.from, node.to);
  const found = child(child(parseLogQl(query), 'Expr'));
  return found.name === 'LogExpr' ? logs(found, text) : metric(found, text);
}

type TextOf = (node: Node) => string;

function metric(node: Node, text: TextOf): string {
  const inner = node.name === 'MetricExpr' ? child(node) : node;
  if (inner.name === 'RangeAggregationExpr') return range(inner, text);
  if (inner.name !== 'VectorAggregationExpr') throw unknown(inner, text);
  const operation = child(inner, 'VectorOp').firstChild?.name;
  const of = child(inner, 'MetricExpr');
  if (operation === 'Topk')
    return `${metric(of, text)} | sort by (${VALUE} desc) limit ${text(child(inner, 'Number'))}`;
  const counted = child(of);
  if (operation !== 'Sum' || counted.name !== 'RangeAggregationExpr') throw unknown(inner, text);
  return range(counted, text, inner.getChild('Grouping'));
}

/** @param outer the grouping of a sum around it */
function range(node: Node, text: TextOf, outer?: Node | null): string {
  const operation = child(node, 'RangeOp').firstChild?.name;
  const lines = child(node, 'LogRangeExpr');
  const unwrapped = lines.getChild('UnwrapExpr')?.getChild('Identifier');
  const by = grouping(outer ?? node.getChild('Grouping'), text);
  const stats = (call: string): string => `${logs(lines, text)} | stats ${by}${call} as ${VALUE}`;
  if (operation === 'CountOverTime' && unwrapped === undefined) return stats('count()');
  if (unwrapped === undefined || unwrapped === null || outer !== undefined) throw unknown(node, text);
  const field = fieldOf(text(unwrapped));
  if (operation === 'MaxOverTime') return stats(`max(${field})`);
  if (operation === 'QuantileOverTime') return stats(`quantile(${text(child(node, 'Number'))}, ${field})`);
  throw unknown(node, text);
}

function grouping(node: Node | null | undefined, text: TextOf): string {
  if (node === null || node === undefined) return '';
  if (node.getChild('By') === null) throw unknown(node, text);
  return `by (${all(node, 'Identifier')
    .map((name) => fieldOf(text(name)))
    .join(', ')}) `;
}

/** A LogExpr or a LogRangeExpr: which lines. */
function logs(node: Node, text: TextOf): string {
  const [selector, ...more] = all(child(node, 'Selector'), 'Matcher').map((each) => matcher(each, text));
  if (selector === undefined || more.length > 0) throw unknown(node, text);
  const stages = node.getChild('PipelineExpr');
  for (const stage of stages === null ? [] : all(stages, 'PipelineStage')) {
    const kind = stage.lastChild?.name;
    // How a line is shown is no part of which there are.
    if (kind === 'LineFormatExpr') for (const name of templateNames(text(stage))) fieldOf(name);
    else if (kind !== 'LabelFilter') throw unknown(stage, text);
  }
  const filters = stages === null ? [] : all(stages, 'Matcher').map((each) => matcher(each, text));
  return [`{${selector}}`, ...filters].join(' ');
}

function matcher(node: Node, text: TextOf): string {
  const field = fieldOf(text(child(node, 'Identifier')));
  const value = text(child(node, 'String'));
  const isSelector = node.parent?.name === 'Matchers';
  if (node.getChild('Eq') !== null) return isSelector ? `${field}=${value}` : `${field}:=${value}`;
  if (node.getChild('Neq') === null || isSelector) throw unknown(node, text);
  return value === '""' ? `${field}:*` : `-${field}:=${value}`;
}

/** What `{{.name}}` or, in a legend, `{{name}}` stands for. */
export function templateNames(template: string): string[] {
  return [...template.matchAll(/\{\{\.?(\w+)\}\}/g)].map(([, name = '']) => name);
}

function fieldOf(name: string): string {
  const key = NAMES.get(name);
  if (key === undefined) throw new Error(`no record has ${name}`);
  return JSON.stringify(key);
}

/** Throws where there is none. */
function child(node: Node, name?: string): Node {
  const found = name === undefined ? node.firstChild : node.getChild(name);
  if (found === null) throw new Error(`${node.name} has no ${name ?? 'child'}`);
  return found;
}

/** Of this name, at any depth, in their order. */
function all(node: Node, name: string): Node[] {
  const found: Node[] = [];
  for (let each = node.firstChild; each !== null; each = each.nextSibling)
    found.push(...(each.name === name ? [each] : all(each, name)));
  return found;
}

function unknown(node: Node, text: TextOf): Error {
  return new Error(`a query of another kind than the dashboards have: ${text(node)}`);
}
