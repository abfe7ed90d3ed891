/** Whether the addresses that `serve` listens on can be had. Each is listened on for a moment. */
import { createServer } from 'node:net';
import type { Finding } from './finding.ts';
import type { Listener } from './setup.ts';

export interface ListenOptions {
  readonly listeners: readonly Listener[];
  /** Whether a living process records into the spool of this set-up: then it may be the one that listens. */
  readonly running: boolean;
}

export async function findListeners({ listeners, running }: ListenOptions): Promise<Finding[]> {
  const health = await healthOf(listeners.find(({ name }) => name === 'admin'));
  const findings: Finding[] = [];
  for (const listener of listeners) {
    findings.push(findingOf(listener, await tryListen(listener), { running, health }));
  }
  return findings;
}

interface Others {
  readonly running: boolean;
  /** Version of the mcp-verdict that answers at the admin address; undefined where none does. */
  readonly health: string | undefined;
}

function findingOf({ name, host, port }: Listener, code: string | undefined, others: Others): Finding {
  const subject = `${host.includes(':') ? `[${host}]` : host}:${port}`;
  const base = { check: 'listen', subject } as const;
  if (code === undefined) return { ...base, level: 'ok', found: `free (${name})` };
  if (code !== 'EADDRINUSE') {
    const advice = code === 'EACCES' ? 'Take a port from 1024 up' : 'Name an address of this machine';
    return { ...base, level: 'fail', found: `cannot be listened on (${name}): ${code}`, advice };
  }
  if (others.health !== undefined) {
    return { ...base, level: 'ok', found: `mcp-verdict ${others.health} serves here already (${name})` };
  }
  const found = `in use (${name})`;
  if (others.running) {
    const advice = 'It may be mcp-verdict itself: a process records into this spool';
    return { ...base, level: 'warn', found, advice };
  }
  return { ...base, level: 'fail', found, advice: `See who it is: ss -ltnp 'sport = :${port}'` };
}

/** @returns the system's error code, undefined where it went well */
function tryListen({ host, port }: Listener): Promise<string | undefined> {
  return new Promise((resolve) => {
    const server = createServer();
    server.once('error', (error: NodeJS.ErrnoException) => resolve(error.code ?? error.message));
    server.listen(port, host, () => server.close(() => resolve(undefined)));
  });
}

const HEALTH_TIMEOUT_MS = 2000;

async function healthOf(admin: Listener | undefined): Promise<string | undefined> {
  if (admin === undefined || admin.port === 0) return undefined;
  const host = admin.host.includes(':') ? `[${admin.host}]` : admin.host;
  try {
    const signal = AbortSignal.timeout(HEALTH_TIMEOUT_MS);
    const response = await fetch(`http://${host}:${admin.port}/healthz`, { signal, redirect: 'manual' });
    const health: unknown = await response.json();
    if (typeof health !== 'object' || health === null || !('version' in health) || !('status' in health)) {
      return undefined;
    }
    return typeof health.version === 'string' ? health.version : undefined;
  } catch {
    return undefined;
  }
}
