/**
 * Which names announce a secret. Names are compared as words, so that `accessToken`, `X-Api-Key` and `db.password`
 * are found and `max_tokens` and `secretary` are not. Letters that look like others are read both ways.
 */

/**
 * `secret`: what stands under the name is hidden. `about`: it is about a secret, or may be one, so that the value has
 * to be looked at. `open`: the name says nothing.
 */
export type NameJudgement = 'secret' | 'about' | 'open';

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
    cardnumber creditcard socialsecurity iban
    otpcode totpcode mfacode twofactorcode facode twofactor onetimecode authcode securitycode securityanswer
    codeverifier passhash dbpass smtppass mailpass rootpass userpass mypass storepass keypass requirepass
    cvvcode cvccode
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

/** As the whole name, now a secret and now none. */
const DOUBTFUL: ReadonlySet<string> = new Set(
  words('key access refresh oauth signature seed salt nonce hmac'),
);

/** Endings of a word that was written without any border: `dbpassword`, `githubtoken`. */
const TAILS = words(`
  password passwords passwd passphrase apikey secretkey privatekey accesskey token secret sessionid credential
  credentials cookie authorization passwort kennwort пароль 密码 密碼
`);

/** Beginnings of such a word: `passwordhash`. */
const HEADS = words('password passwd');

/** After a secret's name these say that it is hardly the secret itself that follows. */
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

export function isSecretName(name: string): boolean {
  return judgeName(name) === 'secret';
}

/** What a name announces: any case, any separators, any Unicode form. */
export function judgeName(name: string): NameJudgement {
  let judgement: NameJudgement = 'open';
  for (const reading of readings(name.slice(-NAME_CHARS_MAX))) {
    const found = judge(reading);
    if (found === 'secret') return found;
    if (found === 'about') judgement = found;
  }
  return judgement;
}

/** Cyrillic and Greek letters, and others, that look like Latin ones (UTS #39, confusables, the few that matter). */
const LOOK_ALIKES: ReadonlyMap<string, string> = new Map(
  [
    'a\u0430\u03b1\u0251',
    'b\u0432',
    'c\u0441\u03f2',
    'd\u0501',
    'e\u0435\u03b5\u0454',
    'h\u04bb\u043d',
    'i\u0456\u03b9\u0131',
    'j\u0458',
    'k\u043a\u03ba',
    'l\u04cf\u0142',
    'm\u043c',
    'n\u0578',
    'o\u043e\u03bf\u00f8',
    'p\u0440\u03c1',
    'r\u0433',
    's\u0455\u00df',
    't\u0442\u03c4',
    'u\u03c5\u057d',
    'v\u03bd\u0475',
    'w\u03c9\u0461\u051d',
    'x\u0445\u03c7',
    'y\u0443',
  ].flatMap(([letter = '', ...alikes]) => alikes.map((alike) => [alike, letter] as const)),
);

/** Digits and signs that stand for letters, as in `p@ssw0rd`; between letters only. */
const LEET: Readonly<Record<string, string>> = {
  '0': 'o',
  '1': 'i',
  '!': 'i',
  '3': 'e',
  '4': 'a',
  '@': 'a',
  '5': 's',
  $: 's',
  '7': 't',
};
const LEET_FORM = /\p{L}[0-9!@$]{1,3}(?=\p{L})/u;

function readings(name: string): readonly string[] {
  const ascii = /^[ -~]*$/.test(name);
  const plain = ascii ? name : name.normalize('NFKD').replace(/[\p{Cf}\p{M}]/gu, '');
  const latin = ascii
    ? plain
    : Array.from(plain, (char) => LOOK_ALIKES.get(char.toLowerCase()) ?? char).join('');
  const read = latin === plain ? [plain] : [plain, latin];
  return LEET_FORM.test(latin)
    ? [...read, latin.replace(/[013457!@$]/g, (char) => LEET[char] ?? char)]
    : read;
}

function judge(name: string): NameJudgement {
  const glued = name.toLowerCase().replace(/[^\p{L}]/gu, '');
  if (DOUBTFUL.has(glued)) return 'about';
  if (!STEMS.test(glued)) return 'open';
  if (glued === WHOLE || ANYWHERE.has(glued) || LAST.has(glued)) return 'secret';
  const byCase = name.replace(/(\p{Ll})(?=\p{Lu})|(\p{Lu})(?=\p{Lu}\p{Ll})/gu, '$1$2 ');
  const [cased, plain] = [announces(byCase), announces(name)];
  if (cased === 'secret' || plain === 'secret') return 'secret';
  return cased === 'about' ? cased : plain;
}

function announces(name: string): NameJudgement {
  // Digits are borders and no words: `PASSWORD2`, `oauth2Token`.
  const parts = name.toLowerCase().match(/\p{L}+/gu) ?? [];
  let judgement: NameJudgement = 'open';
  for (const at of parts.keys()) {
    for (let end = at + 1; end <= Math.min(at + 3, parts.length); end += 1) {
      const found = announcedBy(parts, at, end);
      if (found === 'secret') return found;
      if (found === 'about') judgement = found;
    }
  }
  return judgement;
}

/** What the words from `at` to `end` announce, where they are one of the lists' words. */
function announcedBy(parts: readonly string[], at: number, end: number): NameJudgement {
  const joined = parts.slice(at, end).join('');
  if (LAST.has(joined) && end === parts.length) return 'secret';
  const glued = end === at + 1 ? judgeGlued(joined) : 'open';
  if (!ANYWHERE.has(joined) && glued !== 'secret') return glued;
  if (parts[end - 1] === 'token' && OPEN_TOKENS.includes(parts[at - 1] ?? '')) return 'open';
  return HARMLESS.has(parts[end] ?? '') ? 'about' : 'secret';
}

function judgeGlued(part: string): NameJudgement {
  const tail = TAILS.find((tail) => part.endsWith(tail));
  if (tail !== undefined) {
    const before = part.slice(0, -tail.length);
    return tail === 'token' && OPEN_TOKENS.some((open) => before.endsWith(open)) ? 'open' : 'secret';
  }
  const head = HEADS.find((head) => part.startsWith(head));
  if (head === undefined) return 'open';
  return HARMLESS.has(part.slice(head.length)) ? 'about' : 'secret';
}
