/** What CEL has no function for, and what authors get wrong without: paths and hosts. */
import type { CelFunc } from '@bufbuild/cel';
import { celEngine } from './cel-engine.ts';

/** Longer paths are not judged (PATH_MAX of Linux). */
export const PATH_LENGTH_MAX = 4096;
/** Longer URLs have no host. */
export const URL_LENGTH_MAX = 8192;

/**
 * Whether an absolute path is `root` or stands under it. `.`, `..` and `//` are resolved by the text alone: symbolic
 * links and file systems that ignore case are not seen. Throws for what readers take differently, because no answer
 * would be safe for both an allow and a deny: relative paths (`~` too), backslashes, control characters,
 * percent-encoding, lone surrogates, and more than PATH_LENGTH_MAX characters.
 */
export function pathUnder(path: string, root: string): boolean {
  const parts = segments(path);
  return segments(root).every((part, index) => parts[index] === part);
}

function segments(path: string): string[] {
  const plain = path.length <= PATH_LENGTH_MAX && path.startsWith('/') && path.isWellFormed();
  if (!plain || /[\\\u0000-\u001f\u007f]|%[0-9a-f]{2}/i.test(path))
    throw new Error('not a plain absolute path');
  const parts: string[] = [];
  for (const part of path.split('/')) {
    if (part === '..') parts.pop();
    else if (part !== '' && part !== '.') parts.push(part);
  }
  return parts;
}

/**
 * The host of an absolute URL in lower case, without port, brackets and final dot. Throws for what is not a URL with a
 * host, and for what URL parsers read differently: userinfo, backslashes, blanks and control characters.
 */
export function urlHost(url: string): string {
  const plain =
    /^[a-z][a-z0-9+.-]*:\/\/[^/?#@\\]+(?:[/?#]|$)/i.test(url) && !/[\\\u0000-\u0020\u007f]/.test(url);
  if (url.length > URL_LENGTH_MAX || !plain || !URL.canParse(url))
    throw new Error('not a URL with a plain host');
  const host = new URL(url).hostname
    .toLowerCase()
    .replace(/^\[|\]$/g, '')
    .replace(/\.$/, '');
  if (host === '') throw new Error('not a URL with a plain host');
  return host;
}

export function celFunctions(): CelFunc[] {
  const { celFunc, CelScalar } = celEngine();
  const { STRING, BOOL } = CelScalar;
  return [
    celFunc('pathUnder', [STRING, STRING], BOOL, pathUnder),
    celFunc('urlHost', [STRING], STRING, urlHost),
  ];
}
