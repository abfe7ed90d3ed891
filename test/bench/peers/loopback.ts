/**
 * Loaded into a peer that listens on all interfaces and has no option for another: what it listens on is loopback, so
 * that a bench opens nothing to the network. Costs nothing once it listens.
 */
import { Server } from 'node:net';

const listen = Server.prototype.listen;

Server.prototype.listen = function listenOnLoopback(this: Server, ...given: unknown[]): Server {
  const [port, ...rest] = given;
  const isPort = typeof port === 'number' || (typeof port === 'string' && /^\d+$/.test(port));
  if (!isPort) return Reflect.apply(listen, this, given);
  const callbacks = rest.filter((argument) => typeof argument === 'function');
  return Reflect.apply(listen, this, [Number(port), '127.0.0.1', ...callbacks]);
};
