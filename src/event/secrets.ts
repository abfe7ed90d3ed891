/**
 * Secrets in text, found by what announces them and by their form. By names and patterns: it finds what people and
 * programs usually write, and gives no guarantee.
 */
import { hideCards } from './cards.ts';
import { hideCommandSecrets } from './command-line.ts';
import { hideNamedSecrets } from './named-secrets.ts';
import { SECRET_FORMS } from './secret-forms.ts';

export interface TextContext {
  /** Whether an AWS access key id stands somewhere near, so that its secret is to be expected here. */
  readonly nearAwsKey?: boolean;
}

/** No form is shorter, but for those with a blank or what joins a name to its value. */
const FORM_CHARS_MIN = 11;
/** Letters and what joins them in the names of tools and methods: too few kinds of characters for a secret. */
const PLAIN_NAME = /^[a-z/._-]*$/;

/** Without one of these nothing is announced. */
const JOINTS = /[\s:=%,<：＝]/;

/** Text with what looks like a secret replaced by `[redacted]` or `[redacted:NAME]`. Linear. */
export function hideSecrets(text: string, context: TextContext = {}): string {
  const harmless = text.length < FORM_CHARS_MIN ? !JOINTS.test(text) : PLAIN_NAME.test(text);
  return harmless ? text : hideDecoded(text, context, true);
}

/** @param decode whether to look into base64 too */
function hideDecoded(text: string, context: TextContext, decode: boolean): string {
  let plain = JOINTS.test(text) ? hideNamedSecrets(hideCommandSecrets(text)) : text;
  if (ANY_FORM.test(plain)) plain = hideForms(plain);
  plain = hideAwsSecrets(plain, context);
  if (decode) plain = hideEncoded(plain, context);
  return hideCards(plain);
}

/** All forms at once: most texts hold none of them, and this is quicker than asking one by one. */
const ANY_FORM = new RegExp(SECRET_FORMS.map(({ form }) => `(?:${form.source})`).join('|'), 'i');

function hideForms(text: string): string {
  let plain = text;
  for (const { name, form, holds } of SECRET_FORMS) {
    plain = plain.replace(form, (found: string, before?: unknown, after?: unknown) => {
      if (holds && !holds(found)) return found;
      // Without groups the arguments after the match are an offset and the whole text.
      const keep = typeof before === 'string' ? before : '';
      return `${keep}[redacted:${name}]${keep !== '' && after === '@' ? '@' : ''}`;
    });
  }
  return plain;
}

const AWS_CONTEXT = /\baws\b|amazonaws|\[redacted:aws\]/i;
const AWS_SECRET_CHARS = 40;
const AWS_SECRET = /(?<![A-Za-z0-9+/=])[A-Za-z0-9+/]{40}(?![A-Za-z0-9+/=])/g;

/** AWS secret access keys have no mark of their own: 40 characters of base64, near an access key id or alone. */
function hideAwsSecrets(text: string, { nearAwsKey }: TextContext): string {
  if (text.length < AWS_SECRET_CHARS) return text;
  const near = nearAwsKey === true || AWS_CONTEXT.test(text);
  return text.replace(AWS_SECRET, (found) => {
    const mixed = /[a-z]/.test(found) && /[A-Z]/.test(found) && /\d/.test(found);
    const alone = found.length === text.length && /[+/]/.test(found);
    return mixed && (near || alone) ? '[redacted:aws]' : found;
  });
}

/** No secret with its name is shorter, and hardly one has no capital or digit then. */
const ENCODED = /[A-Za-z0-9+/_-]{16}/;
const BASE64 = /(?<![\w+/-])[A-Za-z0-9+/_-]{16,}={0,2}/g;

/** Base64 of a text that holds a secret is hidden whole. */
function hideEncoded(text: string, context: TextContext): string {
  if (!ENCODED.test(text)) return text;
  return text.replace(BASE64, (found) => {
    const decoded = Buffer.from(found, 'base64').toString('utf8');
    if (/[^\t\r\n -~\u00a0-\ufffc]/.test(decoded)) return found;
    return hideDecoded(decoded, context, false) === decoded ? found : '[redacted:base64]';
  });
}
