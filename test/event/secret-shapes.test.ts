/** Shapes in which agents really pass secrets, and shapes that only look like it. */
import assert from 'node:assert/strict';
import { generateKeyPairSync } from 'node:crypto';
import { test } from 'node:test';
import type { Json } from '../../src/event/json.ts';
import { hmacKey } from '../../src/event/keyring.ts';
import { describeArguments } from '../../src/event/redact.ts';
import { json } from './sample.ts';

const hmac = hmacKey(Buffer.alloc(32, 7));

function describe(args: object) {
  return describeArguments(json(args) as ReadonlyMap<string, Json>, { level: 'redacted', bytes: 1, hmac });
}

/** What no pattern knows by itself. */
const S = 'Zq7xT9wLmP2vR8kN';
const b64 = (text: string): string => Buffer.from(text).toString('base64');
/** As AWS draws them: 40 characters of base64, without a mark of their own. */
const AWS = `wJalrXUtnFEMIK7${'aB3'.repeat(8)}x`;
const AWS_ID = `AKIA${'ABCD2345'.repeat(2)}`;

const commands = [
  `curl -u bob:${S} https://x`,
  `curl --user 'bob:${S}' https://x`,
  `curl -sS -ubob:${S} https://x`,
  `curl --proxy-user bob:${S} https://x`,
  `/usr/bin/curl -s \\\n  --user "bob:${S}" https://x`,
  `http -a bob:${S} https://x`,
  `mysql -uroot -p${S} db`,
  `mysqldump -u root -p'${S}' db`,
  `docker exec -it db sh -c "mysql -p${S} db"`,
  `{"cmd":"mysql -uroot -p${S}","n":1,}`,
  `sshpass -p ${S} ssh h`,
  `sshpass -p'${S}' ssh h`,
  `docker login -u a -p ${S} registry.example`,
  `az login --service-principal -u x -p ${S}`,
  `redis-cli -h h -a ${S} ping`,
  `mongosh -u a -p ${S} db`,
  `sqlcmd -S h -U sa -P ${S}`,
  `sqlplus scott/${S}@//h:1521/x`,
  `ldapsearch -D cn=a -w ${S}`,
  `smbclient //h/s -U bob%${S}`,
  `lftp -u bob,${S} h`,
  `openssl enc -k ${S}`,
  `openssl rsa -passin pass:${S}`,
  `unzip -P ${S} a.zip`,
  `7z x -p${S} a.7z`,
  `echo ${S} | sudo -S ls`,
  `echo "bob:${S}" | chpasswd`,
  `echo ${S} | docker login -u a --password-stdin`,
  `keytool -list -storepass ${S}`,
  `aws configure set aws_secret_access_key ${S}`,
  `redis CONFIG SET requirepass ${S}`,
];

const texts = [
  `ALTER USER bob IDENTIFIED BY '${S}'`,
  `create user bob identified with mysql_native_password by '${S}'`,
  `CREATE USER bob WITH PASSWORD '${S}'`,
  `ALTER ROLE bob PASSWORD '${S}'`,
  `SET PASSWORD FOR bob = '${S}'`,
  `SELECT PASSWORD('${S}')`,
  `INSERT INTO users (name, password) VALUES ('bob', '${S}')`,
  `UPDATE u SET pass_hash='${S}'`,
  `<password>${S}</password>`,
  `<wsse:Password Type="t">${S}</wsse:Password>`,
  `<password><![CDATA[${S}]]></password>`,
  `<entry key="password">${S}</entry>`,
  `<add key="ApiKey" value="${S}"/>`,
  `<input type="password" name="x" value="${S}">`,
  `user: bob\npassword: |\n  ${S}\n  ${S}\nhost: h`,
  `a:\n  - token: >-\n      ${S}\n\n      ${S}\n`,
  `machine h login bob password ${S}`,
  `machine h\n  login bob\n  password ${S}\n`,
  `bob:$apr1$ab$${S}`,
  `bob:$2y$10$${S}${S}`,
  `my password is ${S}`,
  `Password for bob is "${S}"`,
  `the new PIN code was set; the password is now: ${S}`,
  `use token ${S} to log in`,
  `mein Passwort ist hunter2`,
  `password%3D${S}%26x`,
  `user%3Da%26password%3d${S}`,
  b64(`password=${S}`),
  `data ${b64(`{ "token": "${S}" }`)} end`,
  `https://x/?key=${S}`,
  `https://x/a?b=1&sig=${S}`,
  `https://x/a?access_token=${S}#c`,
  `https://x/cb?code=${S}&state=1`,
  `https://discord.com/api/webhooks/123/${S}`,
  `https://outlook.office.com/webhook/${S}`,
  `https://corp.webhook.office.com/webhookb2/${S}/IncomingWebhook/a/b`,
  `https://hooks.slack.com/services/T0/B0/${S}`,
  `jdbc:oracle:thin:scott/${S}@//h:1521/x`,
  `page.fill('#password', '${S}')`,
  `headers.set("Authorization", "${S}")`,
  `token_id=${S}`,
  `p\u0430ssword=${S}`,
  `密码：${S}`,
];

const members: object[] = [
  { selector: '#password', value: S },
  { selector: 'input[type=password]', value: S },
  { element: 'Password field', text: S },
  { element: 'Password field', ref: 'e3', text: S, submit: true },
  { ref: 'password input', text: S },
  { fields: [{ name: 'New password', type: 'textbox', ref: 'e3', value: S }] },
  { headers: [{ k: 'password', v: S }] },
  { fields: [{ fieldName: 'password', fieldValue: S }] },
  { fields: [{ field_name: 'api_key', field_value: S }] },
  { command: 'mysql', args: ['-u', 'root', `-p${S}`] },
  { argv: ['/usr/bin/curl', '-u', `bob:${S}`, 'https://x'] },
  { args: ['docker', 'login', '-p', S] },
  { otp_code: S },
  { mfaCode: S },
  { two_factor_code: S },
  { twoFactorCode: S },
  { '2fa_code': S },
  { code_verifier: S },
  { security_answer: S },
  { securityCode: S },
  { authorization_code: S },
  { refresh: S },
  { refresh_token: S },
  { iban: S },
  { pin: S },
  { cvv: S },
  { cvc: S },
  { cvv_code: S },
  { 'p@ssw0rd': S },
  { passw0rd: S },
  { s3cretK3y: S },
  { pаssword: S },
  { '\u0441r\u0435dentials': S },
  { 'p\u03b1ssword': S },
  { token_id: S },
  { secret_url: `https://x/${S}` },
  { token_min: S },
  { 'password.policy': S },
  { credentials_path: S },
  { private_key_id: S },
  { key: S },
  { access: S },
  { oauth: S },
  { salt: S },
  { signature: S },
];

for (const args of [
  ...commands.map((cmd) => ({ cmd })),
  ...texts.map((text) => ({ text })),
  ...members,
  ...[...commands, ...texts].map((text) => ({ body: JSON.stringify({ a: text }) })),
]) {
  test(`nothing of the secret is shown of ${JSON.stringify(args).replaceAll(S, 'S').slice(0, 90)}`, () => {
    assert.doesNotMatch(JSON.stringify(describe(args)), /Zq7xT9wL|hunter2/);
  });
}

const awsShapes: [name: string, args: object][] = [
  ['beside its key id', { text: `${AWS_ID} ${AWS}` }],
  ['in the next argument', { id: AWS_ID, other: AWS }],
  ['near the word', { text: `aws creds are ${AWS}` }],
  ['alone, where it has a character that ids have not', { text: `${AWS.slice(0, 20)}/${AWS.slice(21)}` }],
];
for (const [name, args] of awsShapes) {
  test(`an AWS secret access key is hidden ${name}`, () => {
    assert.doesNotMatch(JSON.stringify(describe(args)), /wJalrXUtn/);
  });
}

const keys = [
  generateKeyPairSync('rsa', { modulusLength: 1024 }),
  generateKeyPairSync('ec', { namedCurve: 'P-256' }),
  generateKeyPairSync('ed25519'),
];
for (const { privateKey, publicKey } of keys) {
  const type = privateKey.asymmetricKeyType ?? '';
  const formats = (
    ['pkcs8', ...(type === 'rsa' ? ['pkcs1'] : []), ...(type === 'ec' ? ['sec1'] : [])] as const
  ).map((format) => privateKey.export({ type: format as 'pkcs8', format: 'der' }).toString('base64'));
  test(`a private key of ${type} without its PEM lines is hidden, and a public one is not`, () => {
    for (const key of [...formats, formats[0]?.replaceAll(/.{64}/g, '$&\n') ?? '']) {
      const shown = JSON.stringify(describe({ key: 'k', text: `the key ${key} is` }));
      assert.ok(!shown.includes(key.slice(-20)), shown);
    }
    const open = publicKey.export({ type: 'spki', format: 'der' }).toString('base64');
    assert.ok(JSON.stringify(describe({ text: `a ${open} b` })).includes(open));
  });
}

const harmless: object[] = [
  { token_count: 12, max_tokens: 4096, maxTokens: '4096', token_limit: 5, tokens_used: 9 },
  { token_type: 'Bearer', token_expires_in: 3600, token_expires_at: '2027-01-31T00:00:00Z' },
  { secret_name: 'prod/db-main', password_policy: 'strong', password_length: 16 },
  { password_file: '/run/secrets/db_password', token_endpoint: 'https://idp.example/token' },
  {
    api_key_id: '550e8400-e29b-41d4-a716-446655440000',
    secret_version: 'v3',
    credentials_id: 'jenkins-deploy',
  },
  { next_page_token: 'CAEQ7vTq1234567abcDEF', key: 'user:42', keys: ['a', 'b'], access: 'public' },
  { refresh: true, signature: 'v1', seed: 42, salt: 'yes', oauth: 'enabled', code: 'return 1;' },
  { pin: null, otp: false, password: '' },
  { path: '/srv/reports/2026/q3-final.csv', query: 'SELECT count(*) FROM orders WHERE id = 12' },
  { sql: "INSERT INTO users (name, email) VALUES ('bob', 'bob@example.org')" },
  { sql: 'SELECT token_count, password_changed_at FROM users ORDER BY password_changed_at' },
  { cmd: 'docker run -u 1000:1000 -p 8080:80 nginx:1.27' },
  { cmd: 'ssh -p 2222 bob@h.example; psql -p 5432 -U bob db; mkdir -p /srv/a' },
  { cmd: 'curl -X POST https://x.example/y -d a=1 -o out.json' },
  { cmd: 'mysql -u root -p db; mysql -P 3306 -h h' },
  { cmd: 'git commit -m "Rename the token counter" && npm publish --access public' },
  { args: ['-p', '8080', '-u', 'root:root'] },
  { command: 'docker', args: ['run', '-p', '8080:80', '-u', '1000:1000'] },
  { text: 'The password is required, must not be empty, and is stored hashed with sha256.' },
  { text: 'The token is invalid or has expired; the secret to a good cake is butter.' },
  { text: 'Reset my password, please. Which token limit applies? A PIN is needed to enter.' },
  { text: 'Tokens are base64-encoded. The credentials are in the vault.' },
  { text: 'https://x.example/a?key=name&sort=asc&page=2&code=en' },
  { text: 'https://x.example/callback?state=1#section-2' },
  { text: '<name>bob</name><tokenCount>9</tokenCount><a href="/password/reset">Reset</a>' },
  { text: 'name: bob\nsummary: |\n  two lines\n  of text\n' },
  { text: 'if (!hasToken(user)) { throw new Error("no token"); }' },
  { text: 'def test_login(self):\n    assert self.client.get("/login").status_code == 200\n' },
  { text: 'call(“a”, "b"); map("x", "y"); print("token count", 5)' },
  { sha: 'da39a3ee5e6b4b0d3255bfef95601890afd80709', id: '1BxiMVs0XRA5nFMdKvBdBZjgmUUqptlbs74OgvE2upms' },
  { text: 'da39a3ee5e6b4b0d3255bfef95601890afd80709 is the first commit on aws' },
  { image: 'sha256:9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08' },
  { text: b64('a text of no interest to anybody at all') },
  { text: 'src/event/secret/name/and/other/path/segments/index.ts' },
  { phone: '555-123-4567', order: '123-456-7890', date: '2026-11-22', version: '10-20-3040-1' },
  { selector: '#username', value: 'bob', element: 'Search field', text: 'cheap flights' },
  { name: 'Password reset guide', content: 'How to reset it: ask the desk.' },
  { title: 'Passwords', body: 'A short history of the pass word.' },
  {
    fields: [
      { name: 'City', value: 'Lisbon' },
      { name: 'Token count', value: '17' },
    ],
  },
  { amount: 1200, currency: 'eur', order: 'A-17', uuid: '550e8400-e29b-41d4-a716-446655440000' },
  { user: 'bob', email: 'bob@example.org', url: 'https://git@github.example/org/repo.git' },
  { author: 'a', passenger: 'b', secretary: 'c', opinion: 'd', compass: 'e', monkey: 'f', keyboard: 'g' },
];

for (const args of harmless) {
  test(`all is shown of ${JSON.stringify(args).slice(0, 90)}`, () => {
    const fields = describe(args);
    assert.deepEqual(JSON.parse(fields['gen_ai.tool.call.arguments'] ?? ''), args);
    assert.equal(fields['verdict.arguments.redacted'], undefined);
  });
}
