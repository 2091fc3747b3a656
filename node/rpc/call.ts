/**
 * The way into RPC: a method's name and parameters become an answer or a command to the node. Pure: whatever a method
 * needs is in its context, whatever it wants done is a command.
 */
import type { RpcParams } from '../boundary.ts';
import { error, type RpcAnswer, RpcCode } from './answer.ts';
import type { RpcContext } from './context.ts';
import { methods } from './methods.ts';

export { type RpcAnswer, type RpcCommand, type RpcReply, toOutcome } from './answer.ts';
export type { PeerSummary, RpcContext } from './context.ts';

/** Runs one call. Never throws on what the caller sent. */
export function callRpc(context: RpcContext, method: string, params: RpcParams): RpcAnswer {
  const found = methods.get(method);
  return found === undefined ? error(RpcCode.methodNotFound, 'Method not found') : found.call(context, params);
}
