/**
 * Calls that are held until something is true of the node, and the methods that wait for blocks. A held call is asked
 * again whenever the tip has moved and when the moment that it named has come; requests.ts keeps them, and forgets those
 * whose caller has gone.
 */
import type { BlockHash } from '../../consensus/brand.ts';
import type { Millis } from '../boundary.ts';
import type { HeaderNode } from '../chain/header-tree.ts';
import { command, type RpcAnswer, type RpcReply, result } from './answer.ts';
import type { RpcContext } from './context.ts';
import { method, type RpcMethod } from './method.ts';
import { defaulted, hash, int } from './params.ts';

/** Not yet: ask again when the tip has moved, and at this moment where there is one. */
export interface Later {
  readonly type: 'later';
  readonly at: Millis | undefined;
}

export interface HeldCall {
  /** The answer, if there is one by now. */
  poll(context: RpcContext): RpcReply | Later;
  /** The answer when the node stops first. */
  stopped(context: RpcContext): RpcReply;
}

export function later(at: Millis | undefined): Later {
  return { type: 'later', at };
}

/** The tip as the methods below show it. */
function tipJson({ chain }: RpcContext): RpcReply {
  return result({ hash: chain.tip.hash, height: chain.tip.height });
}

/** Holds a call until `isMet` is true of the tip. After `timeoutMs`, unless that is 0, it is answered all the same. */
function waitForTip(
  { now }: RpcContext,
  timeoutMs: Millis,
  isMet: (tip: HeaderNode, context: RpcContext) => boolean,
): RpcAnswer {
  const deadline = timeoutMs === 0 ? undefined : now.mono + timeoutMs;
  const call: HeldCall = {
    poll: (context) => {
      const isOver = deadline !== undefined && context.now.mono >= deadline;
      return isOver || isMet(context.chain.tip, context) ? tipJson(context) : later(deadline);
    },
    stopped: tipJson,
  };
  return command({ type: 'hold', call });
}

const timeout = () => defaulted(int('How long to wait at most, in milliseconds; 0 for ever'), 0);
const RESULT = '{ "hash", "height" }    (object), the tip: after a timeout the one that there is';

export const waitingMethods: readonly RpcMethod[] = [
  method({
    name: 'waitforblock',
    category: 'hidden',
    description: 'Waits until a block is the tip.',
    params: { blockhash: hash<BlockHash>('blockhash', 'The hash of the block'), timeout: timeout() },
    result: RESULT,
    example: '"blockhash" 1000',
    run: (context, { blockhash, timeout }) => waitForTip(context, timeout, ({ hash }) => hash === blockhash),
  }),

  method({
    name: 'waitforblockheight',
    category: 'hidden',
    description: 'Waits until the chain is at least so high.',
    params: { height: int('The height'), timeout: timeout() },
    result: RESULT,
    example: '100 1000',
    run: (context, { height, timeout }) => waitForTip(context, timeout, (tip) => tip.height >= height),
  }),

  method({
    name: 'waitfornewblock',
    category: 'hidden',
    description: 'Waits until the tip is another one than now.',
    params: { timeout: timeout() },
    result: RESULT,
    example: '1000',
    run: (context, { timeout }) => {
      const { hash } = context.chain.tip;
      return waitForTip(context, timeout, (tip) => tip.hash !== hash);
    },
  }),
];
