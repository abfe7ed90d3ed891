/** Bearer credentials as they stand in a header, and what their form says of them. Pure. */

/** Characters of a token that is looked into; a header section holds more, but no token needs it. */
export const TOKEN_CHARS_MAX = 16_384;

/**
 * `key`: an API key. `jwt`: three parts with a dot between them, which no key can hold. So which of the two a token is
 * needs no trying, and a token that fails as the one is never read as the other.
 */
export type Bearer =
  | { readonly ok: true; readonly form: 'key' | 'jwt'; readonly token: string }
  | { readonly ok: false; readonly message: string };

/** Reads the value of one Authorization header (RFC 6750, section 2.1). Messages hold nothing of the token. */
export function readBearer(authorization: string): Bearer {
  const token = /^bearer +([^ ]+) *$/i.exec(authorization)?.[1];
  if (token === undefined || !TOKEN.test(token)) {
    return { ok: false, message: 'the Authorization header is not "Bearer TOKEN"' };
  }
  if (token.length > TOKEN_CHARS_MAX) {
    return { ok: false, message: `the token has more than ${TOKEN_CHARS_MAX} characters` };
  }
  return { ok: true, form: token.includes('.') ? 'jwt' : 'key', token };
}

/** RFC 6750, section 2.1: b64token, where `=` may stand at the end. */
const TOKEN = /^[A-Za-z0-9._~+/-]+=*$/;
