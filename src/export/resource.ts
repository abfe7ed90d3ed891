import { randomUUID } from 'node:crypto';
import { hostname } from 'node:os';
import { SDK_INFO } from '@opentelemetry/core';
import { resourceFromAttributes } from '@opentelemetry/resources';
import type { Resource } from '@opentelemetry/resources';
import type { Diagnostics } from '../telemetry/diagnostics.ts';
import { readText } from '../telemetry/environment.ts';
import type { Environment } from '../telemetry/environment.ts';

/** What each record's body repeats of the resource, so that it can be read alone. */
export interface Service {
  readonly name: string;
  readonly instanceId: string;
  readonly version: string;
}

export interface ServiceResource {
  /** One object for all signals: exporters group by identity. */
  readonly resource: Resource;
  readonly service: Service;
}

export interface ResourceDefaults {
  /** Default: mcp-verdict. */
  readonly serviceName?: string | undefined;
  readonly version: string;
  readonly diagnostics: Diagnostics;
}

/**
 * Who we are. OTEL_SERVICE_NAME goes before OTEL_RESOURCE_ATTRIBUTES, and that before what we know ourselves
 * (OTel specification, resource SDK).
 */
export function createResource(env: Environment, defaults: ResourceDefaults): ServiceResource {
  const own = {
    'service.name': defaults.serviceName ?? 'mcp-verdict',
    'service.version': defaults.version,
    'service.instance.id': randomUUID(),
    'host.name': hostname(),
  };
  const given = readAttributes(env, defaults.diagnostics);
  const serviceName = readText(env, 'OTEL_SERVICE_NAME');
  const attributes = {
    ...own,
    ...given,
    ...(serviceName === undefined ? {} : { 'service.name': serviceName }),
    ...SDK_INFO,
  };
  return {
    resource: resourceFromAttributes(attributes),
    service: {
      name: attributes['service.name'],
      instanceId: attributes['service.instance.id'],
      version: attributes['service.version'],
    },
  };
}

/** The SDK's own reader discards the whole variable for one bad pair, and says so only when it is debugged. */
function readAttributes(env: Environment, diagnostics: Diagnostics): Record<string, string> {
  const attributes: [string, string][] = [];
  for (const [index, pair] of (readText(env, 'OTEL_RESOURCE_ATTRIBUTES') ?? '').split(',').entries()) {
    if (pair.trim() === '') continue;
    const attribute = readPair(pair);
    if (attribute !== undefined) attributes.push(attribute);
    else {
      diagnostics.warn(
        `OTEL_RESOURCE_ATTRIBUTES: entry ${index + 1} is not KEY=VALUE with , = and % percent-encoded, so it is left out`,
      );
    }
  }
  return Object.fromEntries(attributes);
}

function readPair(pair: string): [string, string] | undefined {
  const parts = pair.split('=').map((part) => part.trim());
  const [key, value] = parts;
  if (parts.length !== 2 || key === undefined || value === undefined || key === '') return undefined;
  try {
    return [decodeURIComponent(key), decodeURIComponent(value)];
  } catch {
    return undefined;
  }
}
