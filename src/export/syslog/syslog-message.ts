/**
 * RFC 5424 messages in octet-counted frames (RFC 6587, section 3.4.1; RFC 5425, section 4.3). Pure.
 */
import type { Format, FormattedRecord } from '../../format/record.ts';

/** Numbers of RFC 5424, section 6.2.1; those that a log of decisions may have. */
export const FACILITIES = {
  user: 1,
  daemon: 3,
  auth: 4,
  authpriv: 10,
  audit: 13,
  local0: 16,
  local1: 17,
  local2: 18,
  local3: 19,
  local4: 20,
  local5: 21,
  local6: 22,
  local7: 23,
} as const;

export type Facility = keyof typeof FACILITIES;

export interface SyslogMessageOptions {
  readonly format: Format;
  readonly facility: Facility;
}

/** Of the structured data; 32473 is the number that RFC 5612 keeps for examples, for we have none of our own. */
export const SD_ID = 'verdict@32473';

/** One record as a frame: its length, a space, the message. */
export function syslogFrame(record: FormattedRecord, { format, facility }: SyslogMessageOptions): string {
  const { content, origin } = record;
  const { resource } = origin;
  const priority = FACILITIES[facility] * 8 + severityOf(content.severityNumber);
  const header = [
    `<${priority}>1`,
    timeOf(content.timestamp),
    field(resource['host.name'], 255),
    field(resource['service.name'], 48),
    field(resource['service.instance.id'], 128),
    field(content.eventName, 32),
  ].join(' ');
  const message = `${header} ${structuredData(content.attributes)} ${format.encode(record)}`;
  return `${Buffer.byteLength(message)} ${message}`;
}

/** OTel severity numbers come in fours (logs data model); of the second four INFO2, an approval, stands out. */
function severityOf(number: number): number {
  if (number >= 21) return 2;
  if (number >= 17) return 3;
  if (number >= 13) return 4;
  if (number >= 10) return 5;
  return number >= 9 ? 6 : 7;
}

/** RFC 3339 with microseconds: RFC 5424 allows no more. */
function timeOf([seconds, nanoseconds]: readonly [number, number]): string {
  const whole = new Date(seconds * 1000).toISOString().slice(0, 19);
  return `${whole}.${String(Math.floor(nanoseconds / 1000)).padStart(6, '0')}Z`;
}

/** Printable ASCII without spaces, or the dash that stands for nothing. */
function field(value: unknown, charsMax: number): string {
  const text = typeof value === 'string' ? value.replace(/[^!-~]/g, '_').slice(0, charsMax) : '';
  return text === '' ? '-' : text;
}

function structuredData(attributes: FormattedRecord['content']['attributes']): string {
  const values = {
    uid: attributes['log.record.uid'],
    stream: attributes['verdict.stream.id'],
    sequence: attributes['verdict.stream.sequence'],
  };
  const params = Object.entries(values)
    .filter(([, value]) => value !== undefined)
    .map(([name, value]) => ` ${name}="${String(value).replace(/["\\\]]/g, '\\$&')}"`);
  return `[${SD_ID}${params.join('')}]`;
}
