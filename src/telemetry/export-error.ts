/** From what an exporter over HTTP failed with to a sentence that says what is wrong and what to do. */

interface Fault {
  /** System, TLS or parser error code; '' where there is none. */
  readonly code: string;
  /** HTTP status of the answer; undefined where there was none. */
  readonly status: number | undefined;
  readonly message: string;
  /** The answer's body, as far as the error carries it. */
  readonly answer: string;
}

/** What to do about it, which is another thing for each kind of exporter. */
export interface Advice {
  readonly credentials: string;
  /** What the path is not, and how it is set. */
  readonly path: { readonly not: string; readonly hint: string };
  readonly tooLarge: string;
  readonly encoding: string;
  readonly overload: string;
  readonly listening: string;
  readonly noHttp: string;
  readonly address: string;
  readonly clientCertificate: string;
  readonly authority: string;
  readonly timeout: string;
  readonly closed: string;
  /** When it is closed though it is https. */
  readonly closedTls: string;
}

const OTLP: Advice = {
  credentials: 'set OTEL_EXPORTER_OTLP_HEADERS, for example authorization=Bearer%20TOKEN',
  path: {
    not: 'an OTLP path',
    hint: 'OTEL_EXPORTER_OTLP_ENDPOINT gets /v1/logs (or traces, metrics) appended, OTEL_EXPORTER_OTLP_LOGS_ENDPOINT is used as it stands',
  },
  tooLarge: "lower OTEL_BLRP_MAX_EXPORT_BATCH_SIZE or raise the collector's max_request_body_size",
  encoding: 'set OTEL_EXPORTER_OTLP_PROTOCOL to http/protobuf or http/json',
  overload: "look at the collector's own log and memory limit",
  listening: 'is the collector running? OTLP over HTTP is port 4318',
  noHttp: 'port 4317 is the gRPC port, use 4318',
  address: 'check OTEL_EXPORTER_OTLP_ENDPOINT and DNS',
  clientCertificate: 'Set OTEL_EXPORTER_OTLP_CLIENT_CERTIFICATE and OTEL_EXPORTER_OTLP_CLIENT_KEY',
  authority: 'set OTEL_EXPORTER_OTLP_CERTIFICATE to the PEM file of its authority',
  timeout: 'OTEL_EXPORTER_OTLP_TIMEOUT is how long to wait, in milliseconds',
  closed: 'is it OTLP over HTTP (port 4318), and http:// or https:// as it should be?',
  closedTls: 'Does it want a client certificate (OTEL_EXPORTER_OTLP_CLIENT_CERTIFICATE)?',
};

/** Of the exporter `http`: names are those of its keys in verdict.yaml. */
export const HTTP_ADVICE: Advice = {
  credentials: 'set bearer, basic or headers of the exporter',
  path: { not: 'a path that takes records', hint: 'the url of the exporter is used as it stands' },
  tooLarge: 'the batch is sent in halves',
  encoding: 'set format, batch or compression of the exporter, or a content-type among its headers',
  overload: 'look at its own log',
  listening: 'is it running?',
  noHttp: 'check the port in the url of the exporter',
  address: 'check the url of the exporter and DNS',
  clientCertificate: 'Set client_certificate and client_key of the exporter',
  authority: 'set certificate of the exporter to the PEM file of its authority',
  timeout: 'timeout of the exporter is how long to wait',
  closed: 'is it HTTP, and http:// or https:// as it should be?',
  closedTls: 'Does it want a client certificate (client_certificate of the exporter)?',
};

interface Rule {
  readonly when: (fault: Fault, port: string) => boolean;
  readonly text: (endpoint: string, fault: Fault, advice: Advice) => string;
}

const MESSAGE_CHARS_MAX = 200;

const TLS_CODES =
  /^(ERR_SSL|ERR_TLS|ERR_OSSL|CERT_|DEPTH_ZERO|SELF_SIGNED|UNABLE_TO|EPROTO|HOSTNAME_MISMATCH|INVALID_CA)/;

const statusIs =
  (...statuses: readonly number[]) =>
  ({ status }: Fault) =>
    status !== undefined && statuses.includes(status);

const codeIs =
  (...codes: readonly string[]) =>
  ({ code }: Fault) =>
    codes.includes(code);

/** The first that fits speaks. */
const RULES: readonly Rule[] = [
  {
    when: statusIs(401, 403),
    text: (endpoint, { status }, { credentials }) =>
      `${endpoint} refuses the credentials (HTTP ${status}): ${credentials}`,
  },
  {
    when: statusIs(404, 405),
    text: (endpoint, { status }, { path }) => `${endpoint} is not ${path.not} (HTTP ${status}): ${path.hint}`,
  },
  {
    when: statusIs(413),
    text: (endpoint, _, { tooLarge }) => `${endpoint} finds the batch too large (HTTP 413): ${tooLarge}`,
  },
  {
    when: statusIs(415),
    text: (endpoint, _, { encoding }) => `${endpoint} does not take this encoding (HTTP 415): ${encoding}`,
  },
  {
    when: ({ status, answer }) => status === 400 && /HTTP request to an HTTPS server/i.test(answer),
    text: (endpoint) => `${endpoint} speaks TLS: the endpoint must begin with https://`,
  },
  {
    when: ({ status = 0 }) => status >= 300 && status < 400,
    text: (endpoint, { status }) =>
      `${endpoint} answers with a redirect (HTTP ${status}), which is not followed: set the endpoint to the final address`,
  },
  {
    when: (fault) =>
      statusIs(429, 502, 503, 504)(fault) || /failed with retryable status/i.test(fault.message),
    text: (endpoint, { status }, { overload }) =>
      `${endpoint} is overloaded or not ready (HTTP ${status ?? '429, 502, 503 or 504'}): ${overload}`,
  },
  {
    when: ({ status }) => status !== undefined,
    text: (endpoint, { status, answer }) => `${endpoint} refuses the data (HTTP ${status})${said(answer)}`,
  },
  {
    when: codeIs('ECONNREFUSED'),
    text: (endpoint, _, { listening }) => `nothing listens at ${endpoint}: ${listening}`,
  },
  {
    when: ({ code }, port) => code.startsWith('HPE_') || (port === '4317' && !TLS_CODES.test(code)),
    text: (endpoint, _, { noHttp }) => `${endpoint} does not speak HTTP: ${noHttp}`,
  },
  {
    when: codeIs('ENOTFOUND', 'EAI_AGAIN'),
    text: (endpoint, _, { address }) => `the host name of ${endpoint} cannot be resolved: ${address}`,
  },
  {
    when: codeIs('EHOSTUNREACH', 'ENETUNREACH'),
    text: (endpoint) => `there is no route to ${endpoint}: check the address, firewall and VPN`,
  },
  {
    when: ({ code }) => /WRONG_VERSION_NUMBER|PACKET_LENGTH_TOO_LONG/.test(code),
    text: (endpoint) => `${endpoint} does not speak TLS: the endpoint must begin with http://`,
  },
  {
    when: ({ code }) => /ALERT|HANDSHAKE_FAILURE/.test(code),
    text: (endpoint, { code }, { clientCertificate }) =>
      `${endpoint} breaks off the TLS handshake (${code}): does it want a client certificate? ${clientCertificate}`,
  },
  {
    when: ({ code }) => TLS_CODES.test(code),
    text: (endpoint, { code }, { authority }) =>
      `the TLS certificate of ${endpoint} cannot be trusted (${code}): ${authority}`,
  },
  {
    when: ({ code, message }) => code === 'ETIMEDOUT' || /timed out|^timeout$/i.test(message),
    text: (endpoint, _, { timeout }) =>
      `${endpoint} does not answer in time: it is slow or out of reach; ${timeout}`,
  },
  {
    when: ({ code, message }) => code === 'ECONNRESET' || code === 'EPIPE' || message === 'socket hang up',
    text: (endpoint, _, { closed, closedTls }) =>
      `${endpoint} closes the connection without an answer: ${closed}` +
      // A server that wants a certificate may close before its alert is read.
      (endpoint.startsWith('https:') ? ` ${closedTls}` : ''),
  },
  {
    when: () => true,
    text: (endpoint, { message }) => `cannot export to ${endpoint}${said(message)}`,
  },
];

/**
 * One sentence without a full stop. It holds no header values: neither Node nor the SDK puts them into errors.
 * @param endpoint as people may see it, without credentials
 */
export function explainExportError(error: unknown, endpoint: string, advice: Advice = OTLP): string {
  const fault = readFault(error);
  const port = URL.canParse(endpoint) ? new URL(endpoint).port : '';
  const rule = RULES.find(({ when }) => when(fault, port));
  return rule?.text(endpoint, fault, advice) ?? `cannot export to ${endpoint}`;
}

function readFault(error: unknown): Fault {
  const none: Fault = { code: '', status: undefined, message: '', answer: '' };
  if (typeof error === 'string') return { ...none, message: error };
  if (typeof error !== 'object' || error === null) return none;
  // Errors of a name with several addresses come as an AggregateError without a text of its own.
  if (error instanceof AggregateError && error.errors.length > 0) return readFault(error.errors[0]);
  const code = 'code' in error ? error.code : undefined;
  const message = 'message' in error && typeof error.message === 'string' ? error.message : '';
  const answer = 'data' in error && typeof error.data === 'string' ? error.data : '';
  if (typeof code === 'number') return { ...none, status: code, message, answer };
  return { ...none, code: typeof code === 'string' ? reasonCode(code, message) : '', message };
}

/**
 * A handshake that fails while we write is EPROTO to Node, with OpenSSL's reason in the text only; one that fails
 * while we read has the reason as its code. This gives the latter for both.
 */
function reasonCode(code: string, message: string): string {
  const reason = code === 'EPROTO' ? /:error:[^:]*:[^:]*:[^:]*:([^:]+)/.exec(message)?.[1] : undefined;
  return reason === undefined ? code : `ERR_SSL_${reason.toUpperCase().replaceAll(' ', '_')}`;
}

/** What the other side says: the message of an OTLP Status, else the text itself, short and on one line. */
function said(text: string): string {
  let message = text;
  try {
    const status: unknown = JSON.parse(text);
    if (typeof status === 'object' && status !== null && 'message' in status)
      message = String(status.message);
  } catch {
    // Not JSON: the text as it is.
  }
  const line = message.replace(/\s+/g, ' ').trim().slice(0, MESSAGE_CHARS_MAX);
  return line === '' ? '' : `: ${line}`;
}
