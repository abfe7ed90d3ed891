/**
 * Headers as a configuration gives them, names in lower case. What would not be a header is a fault.
 * @param pointer JSON pointer of the mapping
 */
export function headersOf(
  pointer: string,
  headers: Readonly<Record<string, string>>,
  fault: (pointer: string, message: string) => void,
): Record<string, string> {
  const lower: Record<string, string> = {};
  for (const [name, value] of Object.entries(headers)) {
    const at = `${pointer}/${name.replaceAll('~', '~0').replaceAll('/', '~1')}`;
    if (!/^[A-Za-z0-9!#$%&'*+.^_`|~-]+$/.test(name)) fault(at, 'is not a header name');
    // A line end in a value would start a header of its own.
    else if (/[\r\n\0]/.test(value)) fault(at, 'a header value must not hold CR, LF or NUL');
    else lower[name.toLowerCase()] = value;
  }
  return lower;
}
