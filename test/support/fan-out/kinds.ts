/** Every destination that collector-config/ has a file for, and that stands in the fan-out tests. */
import { skipWithoutCollector } from '../build-collector.ts';
import { skipWithoutGoPrograms } from '../build-go-program.ts';
import { VERSITYGW } from '../s3-server.ts';
import { VICTORIA_LOGS } from '../victoria-logs.ts';
import { datadog } from './datadog.ts';
import type { DestinationKind } from './destination.ts';
import { loki } from './loki.ts';
import { s3 } from './s3.ts';
import { splunk } from './splunk.ts';

export const DESTINATIONS: readonly DestinationKind[] = [splunk, datadog, loki, s3];

/** For the `skip` of a test with all of them: a reason where one cannot be had, else false. */
export function skipWithoutDestinations(): string | false {
  const skip = skipWithoutCollector();
  return skip === false ? skipWithoutGoPrograms([VICTORIA_LOGS, VERSITYGW]) : skip;
}
