/**
 * Which names announce a secret. Names are compared as words, so that `accessToken`, `X-Api-Key` and `db.password`
 * are found and `max_tokens` and `secretary` are not.
 */

function words(list: string): readonly string[] {
  return list.trim().split(/\s+/);
}

/** Wherever in a name these words stand, alone or joined from up to three, a secret follows. */
const ANYWHERE: ReadonlySet<string> = new Set(
  words(`
    password passwords passwd passwds passphrase passphrases passcode passcodes pwd pswd pword
    passwort kennwort contrasena senha motdepasse пароль 密码 密碼 口令
    secret secrets secretid credential credentials cred creds authorization authentication cookie cookies
    token jwt bearertoken accesstokens refreshtokens authtokens apitokens bearertokens sessiontokens
    apikey apikeys accesskey accesskeys privatekey privatekeys privkey secretkey secretkeys authkey authkeys
    encryptionkey decryptionkey signingkey masterkey accountkey sharedkey sshkey hmackey sessionkey storagekey
    subscriptionkey servicekey licensekey webhookkey deploykey consumerkey functionkey functionskey appkey
    applicationkey clientkey hostkey cryptokey aeskey wrappingkey amzsignature sharedaccesssignature
    connectionstring connstring mnemonic seedphrase recoveryphrase recoverycode recoverycodes backupcodes
    cardnumber creditcard socialsecurity
  `),
);

/** Secret only where they end the name: `session_id`, but not `session_count`; `smtpPass`, but not `pass_rate`. */
const LAST: ReadonlySet<string> = new Set(
  words(`
    pass auth session sessionid sessid sid phpsessid jsessionid sessioncookie sessiondata
    pin pincode otp totp cvv cvc csc ssn sig bearer pat verificationcode
  `),
);

/** Secret as the whole name only: `tokens` may hold them, `max_tokens` counts them. */
const WHOLE = 'tokens';

/** Endings of a word that was written without any border: `dbpassword`, `githubtoken`. */
const TAILS = words(`
  password passwords passwd passphrase apikey secretkey privatekey accesskey token secret sessionid credential
  credentials cookie authorization passwort kennwort пароль 密码 密碼
`);

/** Beginnings of such a word: `passwordhash`. */
const HEADS = words('password passwd');

/** After a secret's name these say that it is not the secret itself that follows. */
const HARMLESS: ReadonlySet<string> = new Set(
  words(`
    count counts limit limits budget usage type length len size policy policies name names url uri endpoint
    expiry expires expire expiration ttl age min max required enabled disabled strength arn path file filename dir
    version created updated at date format id ids less manager index
  `),
);

/** Before `token` these say that it is a position or a symbol, not a credential. */
const OPEN_TOKENS = words(
  'page next continuation progress cancellation pagination sync stop eos bos pad mask unk',
);

const STEMS = new RegExp([...ANYWHERE, ...LAST, ...TAILS, ...HEADS].join('|'));

/** Names longer than this are judged by their end, where the noun stands. */
export const NAME_CHARS_MAX = 256;

/** Whether what is stored under the name is to be hidden: any case, any separators, any Unicode form. */
export function isSecretName(name: string): boolean {
  const end = name.slice(-NAME_CHARS_MAX);
  const plain = /^[ -~]*$/.test(end) ? end : end.normalize('NFKD').replace(/[\p{Cf}\p{M}]/gu, '');
  const glued = plain.toLowerCase().replace(/[^\p{L}]/gu, '');
  if (!STEMS.test(glued)) return false;
  const byCase = plain.replace(/(\p{Ll})(?=\p{Lu})|(\p{Lu})(?=\p{Lu}\p{Ll})/gu, '$1$2 ');
  const whole = glued === WHOLE || ANYWHERE.has(glued) || LAST.has(glued);
  return whole || announces(byCase) || announces(plain);
}

function announces(name: string): boolean {
  // Digits are borders and no words: `PASSWORD2`, `oauth2Token`.
  const parts = name.toLowerCase().match(/\p{L}+/gu) ?? [];
  return parts.some((part, at) => {
    if (isGlued(part) && !excused(parts, at, at + 1)) return true;
    return [1, 2, 3].some((length) => {
      const end = at + length;
      if (end > parts.length) return false;
      const joined = parts.slice(at, end).join('');
      return (ANYWHERE.has(joined) && !excused(parts, at, end)) || (LAST.has(joined) && end === parts.length);
    });
  });
}

function excused(parts: readonly string[], at: number, end: number): boolean {
  if (HARMLESS.has(parts[end] ?? '')) return true;
  return parts[end - 1] === 'token' && OPEN_TOKENS.includes(parts[at - 1] ?? '');
}

function isGlued(part: string): boolean {
  const tail = TAILS.find((tail) => part.endsWith(tail));
  if (tail !== undefined) {
    const before = part.slice(0, -tail.length);
    return !(tail === 'token' && OPEN_TOKENS.some((open) => before.endsWith(open)));
  }
  const head = HEADS.find((head) => part.startsWith(head));
  return head !== undefined && !HARMLESS.has(part.slice(head.length));
}
