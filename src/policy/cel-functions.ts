/** What CEL has no function for, and what authors get wrong without: paths and hosts. */
import { CelScalar, celFunc, type CelFunc } from '@bufbuild/cel';

/** Longer paths are under nothing (PATH_MAX of Linux). */
export const PATH_LENGTH_MAX = 4096;
/** Longer URLs have no host. */
export const URL_LENGTH_MAX = 8192;

/**
 * Whether an absolute path is `root` or stands under it. `.`, `..` and `//` are resolved by the text alone; symbolic
 * links are not seen. What readers take differently is under nothing: relative paths, backslashes, NUL, and dots,
 * slashes, backslashes, NUL and percent signs in percent-encoding.
 */
export function pathUnder(path: string, root: string): boolean {
  const base = segments(root);
  if (base === undefined || path.length > PATH_LENGTH_MAX || /%(?:2e|2f|5c|00|25)/i.test(path)) return false;
  const parts = segments(path);
  return parts !== undefined && base.every((part, index) => parts[index] === part);
}

/** Undefined for what is not an absolute path of which every reader thinks the same. */
function segments(path: string): string[] | undefined {
  if (!path.startsWith('/') || /[\\\0]/.test(path)) return undefined;
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

const { STRING, BOOL } = CelScalar;

export const CEL_FUNCTIONS: CelFunc[] = [
  celFunc('pathUnder', [STRING, STRING], BOOL, pathUnder),
  celFunc('urlHost', [STRING], STRING, urlHost),
];
