/**
 * YAML 1.2 (and so JSON) files that people write: read, checked against a JSON Schema, and every fault told with
 * the line and column where it stands. Policy, keys and verdict.yaml all come through here.
 *
 * What could mean something else than it shows is refused: duplicate keys, custom tags, several documents, alias
 * bombs. `<<` is a key like any other.
 */
import { Ajv2020, type ErrorObject, type ValidateFunction } from 'ajv/dist/2020.js';
import { isAlias, isMap, isScalar, isSeq, LineCounter, parseAllDocuments, visit } from 'yaml';
import type { Document, Node } from 'yaml';
import { sourceOffset } from './document/scalar.ts';
import { clip, schemaWords } from './document/words.ts';

/** Line and column count from 1; a column is a UTF-16 unit, as editors count. */
export interface Position {
  readonly line: number;
  readonly column: number;
}

export interface Fault extends Position {
  readonly file: string;
  /** What is wrong and what was expected, without a full stop. */
  readonly message: string;
}

/** `file:line:column message`, which editors and CI know how to follow. */
export function formatFault({ file, line, column, message }: Fault): string {
  return `${file}:${line}:${column} ${message}`;
}

export interface DocumentSource {
  /** As it is to be shown in faults. */
  readonly file: string;
  readonly text: string;
  /** JSON Schema 2020-12. A `description` beside a pattern or a number of entries says what is wanted in words. */
  readonly schema: object;
}

export interface ReadDocument {
  readonly ok: true;
  /** Plain data that the schema has passed. */
  readonly value: unknown;
  /**
   * Where the value at a JSON pointer (RFC 6901) stands, or its nearest ancestor that there is.
   * @param offset of a character inside a string value, for faults in an expression that the string holds
   */
  locate(pointer: string, offset?: number): Position;
  /** Where the key stands that leads to the value. */
  locateKey(pointer: string): Position;
}

export type DocumentResult = ReadDocument | { readonly ok: false; readonly faults: readonly Fault[] };

/** Aliases that one document may resolve to, nested ones multiplied. */
const ALIASES_MAX = 100;
/** YAML faults shown of one file: what follows the first ones is mostly their echo. */
const SYNTAX_FAULTS_MAX = 10;

/** Reads one document and checks it. Pure. */
export function readDocument({ file, text, schema }: DocumentSource): DocumentResult {
  const source = text.replace(/^\uFEFF/, '');
  const lines = new LineCounter();
  const at = (offset: number): Position => {
    const { line, col } = lines.linePos(offset);
    return { line, column: col };
  };
  const refuse = (offset: number, message: string): DocumentResult => ({
    ok: false,
    faults: [{ file, ...at(offset), message }],
  });

  const parsed = parseAllDocuments(source, {
    version: '1.2',
    schema: 'core',
    merge: false,
    uniqueKeys: true,
    prettyErrors: false,
    logLevel: 'silent',
    lineCounter: lines,
  });
  const [document, second] = Array.from(parsed);
  if (document === undefined) return refuse(0, 'the file is empty');
  const faults = syntaxFaults(document, source).map(({ offset, message }) => ({
    file,
    ...at(offset),
    message,
  }));
  if (faults.length > 0) return { ok: false, faults: faults.slice(0, SYNTAX_FAULTS_MAX) };
  if (second !== undefined) return refuse(second.range[0], 'only one YAML document may stand in a file');

  const plain = plainValue(document);
  if (!plain.ok) return refuse(plain.offset, plain.message);
  if (plain.value === null) return refuse(0, 'the file is empty');
  const tree: Tree = { document, source, at };
  const wrong = schemaFaults(validatorOf(schema), plain.value, tree);
  if (wrong.length > 0) return { ok: false, faults: wrong.map((fault) => ({ file, ...fault })) };
  return {
    ok: true,
    value: plain.value,
    locate: (pointer, offset) => locate(tree, pointer, offset),
    locateKey: (pointer) => locateKey(tree, pointer),
  };
}

interface Tree {
  readonly document: Document;
  readonly source: string;
  readonly at: (offset: number) => Position;
}

// --- YAML ---

interface OffsetFault {
  readonly offset: number;
  readonly message: string;
}

function syntaxFaults(document: Document, source: string): OffsetFault[] {
  const faults = new Map<number, OffsetFault>();
  // A warning is a tag that was not understood: its value would not be what the file shows.
  for (const { code, message, pos } of [...document.errors, ...document.warnings]) {
    const offset = Math.min(pos[0], source.length);
    if (!faults.has(offset))
      faults.set(offset, { offset, message: yamlWords(code, message, source.slice(offset)) });
    if (code === 'RESOURCE_EXHAUSTION') break;
  }
  if (faults.size > 0) return [...faults.values()].toSorted((a, b) => a.offset - b.offset);
  visit(document, {
    Node(_, node) {
      if (isAlias(node) || node.tag === undefined || STANDARD_TAG.test(node.tag)) return;
      const offset = Math.max(0, source.lastIndexOf('!!', node.range?.[0]));
      faults.set(offset, { offset, message: `the tag ${node.tag} is not accepted` });
    },
  });
  return [...faults.values()];
}

const STANDARD_TAG = /^tag:yaml\.org,2002:(?:str|int|float|bool|null|map|seq)$/;

function yamlWords(code: string, message: string, rest: string): string {
  const at = /^(?:"[^"\n]*"|'[^'\n]*'|[^\s:,[\]{}]+)/.exec(rest)?.[0] ?? '';
  switch (code) {
    case 'DUPLICATE_KEY':
      return `the key ${clip(at)} stands twice in one mapping`;
    case 'RESOURCE_EXHAUSTION':
      return 'the file is nested too deeply';
    case 'TAG_RESOLVE_FAILED':
      return `the tag ${clip(at)} is not accepted`;
    default:
      return `not valid YAML: ${message}`;
  }
}

function plainValue(document: Document): { ok: true; value: unknown } | ({ ok: false } & OffsetFault) {
  try {
    const value: unknown = document.toJS({ maxAliasCount: ALIASES_MAX });
    // Throws where an alias stands inside of what it names.
    JSON.stringify(value);
    return { ok: true, value };
  } catch {
    let offset = 0;
    visit(document, {
      Alias(_, alias) {
        offset = alias.range?.[0] ?? 0;
        return visit.BREAK;
      },
    });
    return {
      ok: false,
      offset,
      message: 'aliases are too many, name nothing, or contain themselves; write the value out',
    };
  }
}

// --- Positions ---

function tokensOf(pointer: string): string[] {
  return pointer
    .split('/')
    .slice(1)
    .map((token) => token.replaceAll('~1', '/').replaceAll('~0', '~'));
}

interface Found {
  readonly key: Node | undefined;
  readonly value: Node | undefined;
}

function find({ document }: Tree, pointer: string): Found {
  let found: Found = { key: undefined, value: document.contents ?? undefined };
  for (const token of tokensOf(pointer)) {
    const next = child(document, found.value, token);
    if (next === undefined) break;
    found = next;
  }
  return found;
}

function child(document: Document, parent: Node | undefined, token: string): Found | undefined {
  const node = isAlias(parent) ? parent.resolve(document) : parent;
  if (isSeq<Node>(node)) {
    const item = node.items[Number(token)];
    return item === undefined ? undefined : { key: undefined, value: item };
  }
  if (!isMap<Node, Node | null>(node)) return undefined;
  const pair = node.items.find(
    ({ key }) => isScalar<string | number | boolean | null>(key) && String(key.value ?? '') === token,
  );
  return pair === undefined ? undefined : { key: pair.key, value: pair.value ?? undefined };
}

function locate(tree: Tree, pointer: string, offset: number | undefined): Position {
  const { key, value } = find(tree, pointer);
  const start = (value ?? key)?.range?.[0] ?? 0;
  const inside = offset !== undefined && isScalar(value) && typeof value.value === 'string';
  return tree.at(inside ? sourceOffset(value, value.value as string, tree.source, offset) : start);
}

function locateKey(tree: Tree, pointer: string): Position {
  const { key, value } = find(tree, pointer);
  return tree.at((key ?? value)?.range?.[0] ?? 0);
}

// --- Schema ---

const ajv = new Ajv2020({
  allErrors: true,
  verbose: true,
  strict: true,
  strictTypes: false,
  strictRequired: false,
});
const validators = new WeakMap<object, ValidateFunction>();

function validatorOf(schema: object): ValidateFunction {
  const known = validators.get(schema);
  if (known !== undefined) return known;
  const compiled = ajv.compile(schema);
  validators.set(schema, compiled);
  return compiled;
}

function schemaFaults(
  validate: ValidateFunction,
  value: unknown,
  tree: Tree,
): (Position & { message: string })[] {
  if (validate(value)) return [];
  const errors = validate.errors ?? [];
  const faults = new Map<string, Position & { message: string }>();
  for (const error of errors) {
    const message = schemaWords(error);
    if (message === undefined) continue;
    const position = faultPosition(error, tree);
    // A value of the wrong type breaks other keywords too; the first one says it best. Keys may miss side by side.
    const kind = error.keyword === 'required' ? message : 'value';
    const id = `${position.line}:${position.column}:${kind}`;
    if (!faults.has(id)) faults.set(id, { ...position, message });
  }
  return [...faults.values()].toSorted((a, b) => a.line - b.line || a.column - b.column);
}

function faultPosition({ keyword, params, propertyName, instancePath }: ErrorObject, tree: Tree): Position {
  const key: unknown = keyword === 'additionalProperties' ? params['additionalProperty'] : propertyName;
  if (typeof key !== 'string') return locate(tree, instancePath, undefined);
  return locateKey(tree, `${instancePath}/${key.replaceAll('~', '~0').replaceAll('/', '~1')}`);
}
