/** URIs as records may show them. */
import { hideSecrets } from './secrets.ts';

/** Characters that are looked through for secrets; a record shows fewer. */
const URI_CHARS_MAX = 8192;
const HIDDEN = '[redacted]';

/**
 * A URI without userinfo, query and fragment, and without secrets in its path; of a `data:` URI only the media type.
 * Any string will do: what is no URI is treated as if it were one, and nothing throws.
 */
export function publicUri(uri: string): string {
  // A URL parser drops these, so `ht\ntps://` is a scheme to it and must be one here.
  const plain = uri.replace(/[\t\r\n]/g, '').replace(/^[\u0000-\u0020]+/, '');
  const end = plain.search(/[?#]/);
  const bare = (end < 0 ? plain : plain.slice(0, end)).replace(/([\\/]{2})[^\\/]*@/g, '$1');
  const parts = /^([a-z][a-z0-9+.-]*:(?![^\\/]*@))?([\\/]*)([^\\/]*)/i.exec(bare);
  const [head = '', scheme = '', slashes = '', first = ''] = parts ?? [];
  const rest = bare.slice(head.length);
  if (scheme.toLowerCase() === 'data:')
    return scheme + (/^[\w.+/-]{0,128}(?=[;,])/.exec(first + rest)?.[0] ?? '');
  const host = first.slice(first.lastIndexOf('@') + 1);
  // A port that is none is the start of a password with a `/`, `?` or `#` in it.
  const [, ...port] = host.slice(host.lastIndexOf(']') + 1).split(':');
  if (slashes.length > 1 && !/^\d{0,5}$/.test(port.join(':'))) return scheme + slashes + HIDDEN;
  return hideSecrets((scheme + slashes + host + rest).slice(0, URI_CHARS_MAX));
}
