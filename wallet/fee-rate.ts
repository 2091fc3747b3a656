/** The feerate of a payment for which none was given: what the node estimates, else what it takes at least. */
import { CliError, Exit } from '../node/commands/cli.ts';
import { type FeeRate, formatFeeRate, MAX_FEE_RATE, satoshisFromJson } from './amount.ts';
import type { RpcClient } from './rpc-client.ts';

/** Blocks within which a payment is meant to be confirmed: Core's own default for wallets. */
const CONFIRMATION_TARGET = 6;
/** Where the node has no estimate: twice the least that nodes relay, so that a small rise does not strand the payment. */
const FALLBACK_FEE_RATE: FeeRate = 2000n;

/** Feerates of a node, in satoshis per 1000 virtual bytes. */
export interface NodeFees {
  /** What a payment should pay. */
  readonly usual: FeeRate;
  /** What a replacement adds at least for each of its bytes (RULES B3, row 5). */
  readonly incremental: FeeRate;
}

/** Asks the node. Throws CliError where it names a feerate that nobody can mean. */
export async function feesOfNode(client: RpcClient): Promise<NodeFees> {
  const estimate = rateOf(await client.call('estimatesmartfee', [CONFIRMATION_TARGET]), 'feerate');
  const info = await client.call('getmempoolinfo');
  const least = [rateOf(info, 'mempoolminfee') ?? 0n, rateOf(info, 'minrelaytxfee') ?? 0n];
  const usual = [estimate ?? FALLBACK_FEE_RATE, ...least].reduce((most, rate) => (rate > most ? rate : most));
  if (usual > MAX_FEE_RATE) {
    throw new CliError(
      Exit.failed,
      'fee-rate',
      `the node asks for ${formatFeeRate(usual)}, which nobody can mean`,
      'ask another node (--node), or say what to pay with --fee-rate',
    );
  }
  return { usual, incremental: rateOf(info, 'incrementalrelayfee') ?? least[1] ?? FALLBACK_FEE_RATE };
}

/** A member of an answer that holds coins per 1000 virtual bytes. */
function rateOf(answer: unknown, name: string): FeeRate | undefined {
  const value = (answer as Record<string, unknown> | null)?.[name];
  return typeof value === 'number' && value > 0 ? satoshisFromJson(value) : undefined;
}
