/** Which forms of an answer a client takes (RFC 9110, section 12.5.1). Pure. */
export interface Accepted {
  readonly json: boolean;
  readonly events: boolean;
}

/** @param accept the header; a request without one takes anything */
export function acceptedBy(accept: string | undefined): Accepted {
  if (accept === undefined || accept.trim() === '') return { json: true, events: true };
  const ranges = accept.split(',').flatMap((range) => {
    const [type = '', ...parameters] = range.split(';').map((part) => part.trim().toLowerCase());
    return parameters.some((parameter) => /^q=0(?:\.0*)?$/.test(parameter)) ? [] : [type];
  });
  const takes = (kind: string, type: string): boolean =>
    ranges.includes(type) || ranges.includes(`${kind}/*`) || ranges.includes('*/*');
  return { json: takes('application', 'application/json'), events: takes('text', 'text/event-stream') };
}
