/**
 * Whose a task is. Behind us a server sees one caller, us, so whoever knows the id of a task could have its result, feed
 * or cancel it; and in 2026-07-28 there is no session that would keep callers apart. So a task belongs to the identity
 * that has started it, as a session does (sessions.ts).
 */
import { isObject, type Json } from '../../event/json.ts';
import { callerKey } from '../caller.ts';
import type { Asked, Origin } from '../gate.ts';
import type { NotificationMessage, RequestMessage } from '../message/message.ts';
import type { Sessions } from './sessions.ts';

/** Takes note of a task that an answer brings. @param taskId see ReadAnswer */
export function bindTask(
  tasks: Sessions,
  { server }: Origin,
  answer: { readonly asked: Asked | undefined; readonly taskId?: string; readonly caller: string },
): void {
  const { asked, taskId, caller } = answer;
  if (taskId !== undefined && asked?.method === 'tools/call') tasks.bind(server.name, taskId, caller);
}

/** Whether every task that a message names is its sender's, or not known here: then the upstream knows. */
export function namesOwnTasks(
  tasks: Sessions,
  message: RequestMessage | NotificationMessage,
  origin: Origin,
): boolean {
  return named(message).every((id) => tasks.admits(origin.server.name, id, callerKey(origin)));
}

function named({ method, params }: RequestMessage | NotificationMessage): string[] {
  if (method.startsWith('tasks/')) return strings([params.get('taskId')]);
  if (method !== 'subscriptions/listen') return [];
  const filter = params.get('notifications');
  return [params, filter].filter(isObject).flatMap((place) => {
    const ids = place.get('taskIds');
    return Array.isArray(ids) ? strings(ids as readonly Json[]) : [];
  });
}

const strings = (values: readonly (Json | undefined)[]): string[] =>
  values.filter((value) => typeof value === 'string');
