/**
 * Globs of tools, servers and methods: `*` is any run of characters, `?` one character, all else is itself, and
 * case counts. Matched by backtracking to the last `*` only, which takes at most pattern times text steps: no
 * pattern and no name that a caller chooses can make it slow.
 */

/** Whether the whole text matches the pattern. */
export function matchesGlob(pattern: string, text: string): boolean {
  return align(pattern, text, (want, have) => want === '?' || want === have);
}

/**
 * Whether the pattern matches everything that the other pattern can match. May say no where the answer is yes
 * (`?*` and `*?`), never the other way round.
 */
export function coversGlob(pattern: string, other: string): boolean {
  return align(pattern, other, (want, have) => have !== '*' && (want === '?' || want === have));
}

export function isLiteral(pattern: string): boolean {
  return !/[*?]/.test(pattern);
}

/** A tool glob `SERVER/TOOL`. It is split at the first slash, so a `*` never reaches from the server into the tool. */
export interface ToolGlob {
  readonly server: string;
  readonly tool: string;
}

/** Undefined where the text is not of the form `SERVER/TOOL`. */
export function parseToolGlob(text: string): ToolGlob | undefined {
  const slash = text.indexOf('/');
  if (slash <= 0 || slash === text.length - 1) return undefined;
  return { server: text.slice(0, slash), tool: text.slice(slash + 1) };
}

function align(pattern: string, text: string, one: (want: string, have: string) => boolean): boolean {
  let at = 0;
  let star = -1;
  let resume = 0;
  for (let index = 0; index < text.length;) {
    const want = pattern[at];
    if (want === '*') {
      star = at;
      resume = index;
      at += 1;
    } else if (want !== undefined && one(want, text[index] ?? '')) {
      at += 1;
      index += 1;
    } else if (star >= 0) {
      resume += 1;
      index = resume;
      at = star + 1;
    } else {
      return false;
    }
  }
  while (pattern[at] === '*') at += 1;
  return at === pattern.length;
}
