/** From a message and its verdict to the fields of a decision record. Pure. */
import { describeArguments, type ArgumentLevel } from '../event/redact.ts';
import { shortDigest, type HmacKey } from '../event/keyring.ts';
import { publicUri } from '../event/uri.ts';
import type { Fields } from '../event/vocabulary.ts';
import type { Identity } from '../identity/identity.ts';
import type { Verdict } from '../policy/verdict.ts';
import type { Governable, Origin, Outcome, Rejection } from './gate.ts';
import type { Call, Glimpse } from './message/message.ts';

export interface Decided {
  readonly verdict: Verdict;
  readonly argumentsLevel: ArgumentLevel;
  /** Of the tool that is called, as last listed. */
  readonly toolDigest?: string | undefined;
  readonly durationNs: number;
}

export function decisionFields(message: Governable, origin: Origin, decided: Decided, hmac: HmacKey): Fields {
  const { call } = message;
  return {
    ...verdictFields(decided),
    ...originFields(origin, hmac),
    ...targetFields(message),
    'verdict.tool.digest': decided.toolDigest,
    'jsonrpc.request.id': requestIdOf(message),
    ...describeArguments(call.args, { level: decided.argumentsLevel, bytes: call.argsBytes, hmac }),
    ...envelopeFields(call, origin),
  };
}

/** Of what has an outcome, and of nothing else: whoever reads records takes a decision with an id for an open call. */
export function requestIdOf(message: Governable): string | undefined {
  return message.kind === 'request' ? message.id.text : undefined;
}

/** @param text why, as a sentence @param digest of all policy in force */
export function rejectionFields(
  { reason, origin, id, message }: Rejection,
  { text, digest }: { readonly text: string; readonly digest: string },
  hmac: HmacKey,
): Fields {
  return {
    'verdict.decision.effect': 'deny',
    'verdict.decision.enforced': true,
    'verdict.decision.reason': reason,
    'verdict.decision.message': text,
    'verdict.policy.digest': digest,
    ...originFields(origin, hmac),
    ...(message === undefined ? {} : { ...targetFields(message), ...envelopeFields(message.call, origin) }),
    'jsonrpc.request.id': id?.text,
  };
}

/** What a message says of itself goes before what its connection has said. */
function envelopeFields(call: Call, { claimed, protocolVersion }: Partial<Origin>): Fields {
  return {
    'mcp.protocol.version': call.protocolVersion ?? protocolVersion,
    'verdict.client.claimed.name': call.clientName ?? claimed?.name,
    'verdict.client.claimed.version': call.clientVersion ?? claimed?.version,
  };
}

function verdictFields({ verdict, durationNs }: Decided): Fields {
  return {
    'verdict.decision.effect': verdict.effect,
    'verdict.decision.enforced': true,
    'verdict.decision.reason': verdict.reason,
    'verdict.decision.message': verdict.message,
    'verdict.decision.duration_ns': durationNs,
    'verdict.policy.name': verdict.policy?.name,
    'verdict.policy.file': verdict.policy?.file,
    'verdict.policy.version': verdict.policy?.version,
    'verdict.policy.digest': verdict.digest,
    'verdict.rule.id': verdict.ruleId,
  };
}

/** The fields that a rejected message has too: what is known of where it came from. */
function originFields(origin: Partial<Origin>, hmac: HmacKey): Fields {
  const { identity, server, claimed } = origin;
  return {
    'verdict.server.name': server?.name,
    'server.address': server?.address,
    'server.port': server?.port,
    'network.transport': origin.transport,
    'client.address': origin.clientAddress,
    'mcp.protocol.version': origin.protocolVersion,
    // A session id is a credential in many servers, so only its keyed digest is written.
    'mcp.session.id':
      origin.sessionId === undefined ? undefined : shortDigest(hmac, 'mcp.session.id', origin.sessionId),
    ...(identity === undefined ? {} : identityFields(identity)),
    'verdict.client.claimed.name': claimed?.name,
    'verdict.client.claimed.version': claimed?.version,
    'user_agent.original': claimed?.userAgent,
  };
}

function identityFields(identity: Identity): Fields {
  return {
    'user.id': identity.user,
    'user.roles': identity.roles,
    'gen_ai.agent.id': identity.agent?.id,
    'gen_ai.agent.name': identity.agent?.name,
    'verdict.identity.source': identity.source,
    'verdict.identity.issuer': identity.issuer,
    'verdict.identity.delegation': identity.delegation,
  };
}

function targetFields({ method, call }: Glimpse): Fields {
  return {
    'mcp.method.name': method,
    'gen_ai.operation.name': call.tool === undefined ? undefined : 'execute_tool',
    'gen_ai.tool.name': call.tool,
    'gen_ai.prompt.name': call.prompt,
    'mcp.resource.uri': call.uri === undefined ? undefined : publicUri(call.uri),
  };
}

/** What spans and logs call the thing that is asked for: tool, prompt or nothing. */
export function targetOf(call: Call): string | undefined {
  return call.tool ?? call.prompt;
}

export function outcomeFields(outcome: Outcome, durationNs: number): Fields {
  return {
    'verdict.outcome.status': outcome.status,
    'verdict.outcome.duration_ns': durationNs,
    'verdict.outcome.size': outcome.size,
    'error.type': outcome.errorType,
    'rpc.status_code': outcome.rpcCode,
    'http.response.status_code': outcome.httpStatus,
  };
}
