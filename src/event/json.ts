/**
 * The value that strict parsing yields (proxy/strict-json.ts), and what every layer above reads arguments as.
 *
 * Objects are Maps, so that a key such as `__proto__` or `constructor` is a key and nothing else. Numbers keep
 * their source text, so that 9007199254740993, 1e400 and -0 are not silently changed before they are judged,
 * hashed and recorded.
 */
export type Json = null | boolean | string | JsonNumber | readonly Json[] | ReadonlyMap<string, Json>;

/** A JSON number as it was written (RFC 8259, section 6). */
export class JsonNumber {
  readonly text: string;

  /** @param text a valid JSON number literal */
  constructor(text: string) {
    this.text = text;
  }

  /** The nearest IEEE 754 double; ±Infinity beyond its range. */
  get value(): number {
    return Number(this.text);
  }

  /** Whether the literal has neither fraction nor exponent. */
  get isInteger(): boolean {
    return !/[.eE]/.test(this.text);
  }
}

export function isObject(value: Json | undefined): value is ReadonlyMap<string, Json> {
  return value instanceof Map;
}
