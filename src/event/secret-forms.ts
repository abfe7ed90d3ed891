/**
 * Secrets known by their form, whatever stands before them. Each form is linear: no quantifier inside a quantifier,
 * and where one is unbounded its matches cannot overlap. Each also matches a secret whose end was cut off.
 */
export interface SecretForm {
  readonly name: string;
  /** With the flag `g`. Group 1, where there is one, stays; so does group 2. */
  readonly form: RegExp;
  /** A second look at what the form found. */
  readonly holds?: (found: string) => boolean;
}

export const SECRET_FORMS: readonly SecretForm[] = [
  {
    name: 'private-key',
    form: /-----BEGIN [A-Z0-9 ]{0,40}PRIVATE KEY(?: BLOCK)?-----[^]*?(?:-----END [A-Z0-9 ]{0,40}PRIVATE KEY(?: BLOCK)?-----|$)/g,
  },
  { name: 'private-key', form: /AGE-SECRET-KEY-1[0-9A-Z]{20,}|PuTTY-User-Key-File-[^]*/g },
  // Private keys without their PEM lines: the first bytes of PKCS #8, PKCS #1 and SEC 1 in base64 (RFC 5958, 8017, 5915).
  {
    name: 'private-key',
    form: /(?<![A-Za-z0-9+/])(?:MII[A-Za-z0-9+/]{3}(?:IBA[AD]|B[A-Za-z0-9]BgkqhkiG9w0BBQ0)|MI[GH][A-Za-z0-9+/]AgE[AB]|M[CEH][A-Za-z0-9+/]CAQ[AE][wE])(?:[A-Za-z0-9+/=]|\\[nr]|\r?\n){24,}/g,
  },
  // Any JSON object in base64, signed or not: what is in it cannot be seen, so all of it is hidden.
  { name: 'jwt', form: /eyJ[\w+/=-]{8,}(?:\.[\w+/=-]*){0,4}/g },
  { name: 'userinfo', form: /(:\/\/)[^\s/?#"'<>]+(@)/g, holds: (found) => found !== '://git@' },
  { name: 'userinfo', form: /(\bjdbc:oracle:\w{1,16}:[^\s/@]{1,128}\/)[^\s@"']+(@)/gi },
  { name: 'aws', form: /(?:AKIA|ASIA|ABIA|ACCA)[0-9A-Z]{16}/g },
  { name: 'google', form: /AIza[\w-]{30,}|ya29\.[\w-]{16,}|GOCSPX-[\w-]{20,}|\b1\/\/0[\w-]{30,}/g },
  { name: 'azure', form: /[\w~.-]{3}[78]Q~[\w~.-]{31,34}/g },
  { name: 'github', form: /gh[pousr]_[A-Za-z0-9]{20,}|github_pat_\w{20,}/g },
  { name: 'gitlab', form: /gl(?:pat|ptt|dt|rt|cbt|ft|soat)-[\w-]{16,}/g },
  {
    name: 'slack',
    form: /xox[a-z](?:\.xox[a-z])?-[\w-]{8,}|xapp-[\w-]{8,}|(hooks\.slack\.com\/(?:services|workflows)\/)[\w/-]+/g,
  },
  {
    name: 'webhook',
    form: /((?:discord(?:app)?\.com\/api\/(?:v\d{1,2}\/)?webhooks\/\d{1,24}|webhook\.office\.com\/webhookb2|outlook\.office(?:365)?\.com\/webhook|hooks\.zapier\.com\/hooks\/catch|maker\.ifttt\.com\/trigger\/[^/\s]{1,64}\/(?:json\/)?with\/key|(?:feishu\.cn|larksuite\.com)\/open-apis\/bot\/v2\/hook)\/)[^\s"'`<>?#]+/gi,
  },
  { name: 'stripe', form: /[prs]k_(?:live|test)_\w{8,}|whsec_[\w+/=]{16,}/g },
  { name: 'npm', form: /npm_[A-Za-z0-9]{30,}/g },
  { name: 'pypi', form: /pypi-[\w-]{30,}/g },
  {
    name: 'ai-key',
    form: /(?<![A-Za-z0-9])sk-[\w-]{16,}|(?<![A-Za-z0-9])(?:hf_|r8_|gsk_|xai-|pplx-)[A-Za-z0-9]{20,}/g,
  },
  { name: 'vault', form: /(?<![A-Za-z0-9])hv[sbr]\.[\w-]{20,}/g },
  { name: 'sendgrid', form: /SG\.[\w-]{16,}\.[\w-]{16,}/g },
  {
    name: 'service-key',
    form: /(?<![A-Za-z0-9])(?:dapi|do[opr]_v1_|dckr_pat_|shp(?:at|ca|pa|ss)_|lin_api_|ntn_|secret_|ATATT3|glsa_|glc_|sbp_|PMAK-|NRAK-|figd_|tvly-|rubygems_)[\w=-]{32,}/g,
  },
  { name: 'twilio', form: /(?<![A-Za-z0-9])SK[0-9a-f]{32}/g },
  { name: 'telegram', form: /(?<!\d)\d{8,10}:AA[\w-]{32,34}/g },
  { name: 'bearer', form: /(\bBearer[ \t]+)[\w.~+/=:-]{4,}/gi },
  {
    name: 'basic',
    form: /(\bBasic[ \t]+)[\w+/=-]{8,}/gi,
    holds: (found) => /[0-9=+/]|[a-z][A-Z]/.test(found.slice(6)),
  },
  // Modular crypt format, bcrypt and Argon2: what they hide can be guessed offline.
  {
    name: 'password-hash',
    form: /\$(?:apr1|1|2[abxy]?|5|6|7|y|gy|scrypt|argon2i?d?|pbkdf2[\w-]{0,16})\$[\w./$=,+-]{8,}/g,
  },
  // `echo x | sudo -S`
  {
    name: 'piped',
    form: /(\becho[ \t]{1,4})[^|\r\n]{1,256}(?=\|[ \t]{0,4}(?:(?:sudo[ \t]{1,4})?(?:chpasswd|passwd)\b|sudo\b[^|\r\n]{0,64} -S\b|[^|\r\n]{0,128} --(?:password-stdin|with-token|passphrase-fd)\b))/g,
  },
  // Social security numbers of the USA, as they are written and as they are given out.
  { name: 'ssn', form: /(?<![\w.-])(?!000|666|9)\d{3}-(?!00)\d{2}-(?!0000)\d{4}(?![\w-])/g },
];
