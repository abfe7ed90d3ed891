/** JSON from an endpoint that the configuration names: bounded in time and size, and never led elsewhere. */

export interface FetchJsonOptions {
  readonly bytesMax: number;
  /** Bounds the whole exchange. */
  readonly signal: AbortSignal;
  /** Sent as a form where it is there; else the request is a GET. */
  readonly form?: URLSearchParams;
  readonly headers?: Readonly<Record<string, string>>;
}

export interface FetchedJson {
  readonly status: number;
  /** undefined where the body is no JSON. */
  readonly value: unknown;
}

/** Rejects with an Error whose message says why and where, and holds nothing that was sent. */
export async function fetchJson(url: string, options: FetchJsonOptions): Promise<FetchedJson> {
  const { signal, form, headers, bytesMax } = options;
  let status = 0;
  try {
    const response = await fetch(url, {
      method: form === undefined ? 'GET' : 'POST',
      headers: { accept: 'application/json', ...headers },
      ...(form === undefined ? {} : { body: form }),
      // It could lead to an address that only we can reach, and take along what was meant for this one.
      redirect: 'manual',
      signal,
    });
    ({ status } = response);
    return { status, value: parsed(await textOf(response, bytesMax)) };
  } catch (error) {
    throw new Error(`${reasonOf(error, signal)} (${shownUrl(url)})`, { cause: error });
  }
}

/**
 * As it may be told: without a query, where secrets could stand. Put it last and in brackets: behind
 * `.../oauth-authorization-server: ` the redaction of records would take any word for a credential.
 */
export function shownUrl(url: string): string {
  const { origin, pathname } = new URL(url);
  return `${origin}${pathname}`;
}

async function textOf({ body }: Response, bytesMax: number): Promise<string> {
  const chunks: Uint8Array[] = [];
  let size = 0;
  // Leaving the loop early ends the connection.
  for await (const chunk of body ?? []) {
    size += chunk.length;
    if (size > bytesMax) throw new Error(`the answer is larger than ${bytesMax} bytes`);
    chunks.push(chunk);
  }
  return Buffer.concat(chunks).toString('utf8');
}

function parsed(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}

function reasonOf(error: unknown, signal: AbortSignal): string {
  if (signal.aborted) return 'no answer in time';
  if (!(error instanceof Error)) return String(error);
  // The message of fetch is always the same; the cause has the system's code.
  const { cause } = error;
  return cause instanceof Error ? ('code' in cause ? String(cause.code) : cause.message) : error.message;
}
