/** Every destination that collector-config/ has a file for, and that stands in the fan-out tests. */
import { datadog } from './datadog.ts';
import type { DestinationKind } from './destination.ts';
import { splunk } from './splunk.ts';

export const DESTINATIONS: readonly DestinationKind[] = [splunk, datadog];
