/** rsyslog and syslog-ng, as Debian has them, each writing the messages that it gets to files, one a line. */
import { mkdirSync, readdirSync, writeFileSync } from 'node:fs';
import { connect } from 'node:net';
import { join } from 'node:path';
import type { Certificate } from './certificates.ts';
import { startCommand, type Running } from './cli.ts';
import { findDebianPrograms } from './debian-programs.ts';
import { eventually } from './eventually.ts';
import { freePort } from './free-port.ts';

export interface SyslogDaemon {
  /** By transport. */
  readonly ports: Readonly<Record<string, number>>;
  /** By transport: what came, without the header. */
  readonly files: Readonly<Record<string, string>>;
  /** SIGTERM; resolves when it has written everything and ended. */
  stop(): Promise<void>;
}

/** Takes TCP, and TLS with a certificate that it has from `server`. */
export async function startRsyslog(
  dir: string,
  server: Certificate,
  authority: string,
): Promise<SyslogDaemon> {
  const { root, env } = findDebianPrograms(['rsyslog', 'rsyslog-openssl']);
  mkdirSync(dir, { recursive: true });
  const ports = { tcp: await freePort(), tls: await freePort() };
  const files = { tcp: join(dir, 'tcp.jsonl'), tls: join(dir, 'tls.jsonl') };
  const input = `input(type="imtcp" address="127.0.0.1"`;
  writeFileSync(
    join(dir, 'rsyslog.conf'),
    `global(workDirectory=${quoted(dir)} maxMessageSize="64k"
  defaultNetstreamDriverCAFile=${quoted(authority)}
  defaultNetstreamDriverCertFile=${quoted(server.certificate)} defaultNetstreamDriverKeyFile=${quoted(server.key)})
module(load="imtcp")
template(name="message" type="string" string="%msg%\\n")
ruleset(name="tcp") { action(type="omfile" file=${quoted(files.tcp)} template="message") }
ruleset(name="tls") { action(type="omfile" file=${quoted(files.tls)} template="message") }
${input} port="${ports.tcp}" ruleset="tcp")
${input} port="${ports.tls}" ruleset="tls"
  streamDriver.name="ossl" streamDriver.mode="1" streamDriver.authMode="anon")
`,
  );
  const modules = join(libraries(root), 'rsyslog');
  const args = ['-n', '-f', 'rsyslog.conf', '-i', join(dir, 'rsyslog.pid'), '-M', modules];
  const running = startCommand(join(root, 'usr/sbin/rsyslogd'), args, { cwd: dir, env });
  return await daemon(running, ports, files);
}

/** Takes TCP. */
export async function startSyslogNg(dir: string): Promise<SyslogDaemon> {
  const { root, env } = findDebianPrograms(['syslog-ng-core']);
  mkdirSync(dir, { recursive: true });
  const ports = { tcp: await freePort() };
  const files = { tcp: join(dir, 'tcp.jsonl') };
  const modules = join(root, 'usr/lib/syslog-ng');
  const [version = ''] = readdirSync(modules).filter((name) => /^\d/.test(name));
  writeFileSync(
    join(dir, 'syslog-ng.conf'),
    `@version: ${version}
options { log-msg-size(65536); stats-freq(0); };
source tcp { syslog(ip("127.0.0.1") port(${ports.tcp}) transport("tcp")); };
destination file { file(${quoted(files.tcp)} template("$MSG\\n")); };
log { source(tcp); destination(file); };
`,
  );
  const own = ['-R', 'persist', '-c', 'ctl', '--pidfile', 'pid'].map((word) =>
    word.startsWith('-') ? word : join(dir, word),
  );
  const args = ['-F', '--no-caps', '-f', 'syslog-ng.conf', ...own, '--module-path', join(modules, version)];
  const running = startCommand(join(root, 'usr/sbin/syslog-ng'), args, { cwd: dir, env });
  return await daemon(running, ports, files);
}

function quoted(text: string): string {
  return JSON.stringify(text);
}

function libraries(root: string): string {
  const directory = join(root, 'usr', 'lib');
  const name = readdirSync(directory).find((entry) => entry.endsWith('-linux-gnu')) ?? '';
  return join(directory, name);
}

async function daemon(
  running: Running,
  ports: Readonly<Record<string, number>>,
  files: Readonly<Record<string, string>>,
): Promise<SyslogDaemon> {
  const killAtExit = (): void => void running.child.kill('SIGKILL');
  process.once('exit', killAtExit);
  void running.ended.then(() => process.off('exit', killAtExit));
  const listening = new Set<number>();
  const look = (port: number): void => {
    const socket = connect({ host: '127.0.0.1', port });
    socket.on('error', () => {});
    socket.on('connect', () => {
      listening.add(port);
      socket.destroy();
    });
  };
  try {
    await eventually('it listens', () => {
      if (running.child.exitCode !== null) throw new Error(`it has ended: ${running.stderr()}`);
      for (const port of Object.values(ports)) if (!listening.has(port)) look(port);
      return listening.size === Object.keys(ports).length;
    });
  } catch (error) {
    await running.stop('SIGKILL');
    throw error;
  }
  return { ports, files, stop: async () => void (await running.stop()) };
}
