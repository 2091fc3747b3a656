/** `--wait`: comes back when a payment is confirmed, shows how far it is, and can be interrupted. */
import { setTimeout as sleep } from 'node:timers/promises';
import { CliError, Exit, type GlobalOptions, note, usageError } from '../node/commands/cli.ts';
import type { Connection } from './connect.ts';
import { parseDuration } from './duration.ts';
import { NodeRefusal } from './rpc-client.ts';
import { readState } from './wallet-state.ts';

const DEFAULT_WAIT_TIMEOUT_MS = 600_000;
const POLL_MS = 200;
const MAX_CONFIRMATIONS = 1_000_000;
/** What Core answers about a transaction that is nowhere. */
const UNKNOWN_TRANSACTION = -5;
/** Back to the start of the line, and the rest of it empty. */
const NEW_LINE_HERE = '\r\u001b[K';

export interface WaitOrder {
  /** 0: nobody waits. */
  readonly confirmations: number;
  readonly timeoutMs: number;
}

/** Throws a usage error for texts that are no number of confirmations or no duration. */
export function readWait(texts: {
  readonly wait: string | undefined;
  readonly waitTimeout: string | undefined;
}): WaitOrder {
  const confirmations = texts.wait === undefined ? 0 : /^\d{1,7}$/.test(texts.wait) ? Number(texts.wait) : -1;
  if (confirmations < 0 || confirmations > MAX_CONFIRMATIONS) {
    throw usageError(`"${texts.wait}" is no number of confirmations`, 'for example --wait 1');
  }
  const timeout = texts.waitTimeout === undefined ? undefined : parseDuration(texts.waitTimeout);
  if (timeout?.ok === false) throw usageError(timeout.error, 'for example --wait-timeout 90s');
  return { confirmations, timeoutMs: timeout?.value ?? DEFAULT_WAIT_TIMEOUT_MS };
}

/** How a wait ended. */
export interface WaitResult {
  /** The payment, or the one that replaced it meanwhile. */
  readonly txid: string;
  readonly confirmations: number;
  readonly end: 'confirmed' | 'time-out' | 'interrupted';
}

/** Polls the node. `walletPath` tells whether the payment was replaced in the meantime; then its replacement is waited for. */
export async function waitForConfirmations(
  options: GlobalOptions,
  connection: Connection,
  payment: { readonly txid: string; readonly walletPath: string },
  order: WaitOrder,
): Promise<WaitResult> {
  const end = performance.now() + order.timeoutMs;
  const progress = new Progress(options);
  const interrupt = onInterrupt();
  let { txid } = payment;
  let confirmations = 0;
  try {
    for (;;) {
      const found = await confirmationsOf(connection, txid);
      const height = (await connection.client.call('getblockcount')) as number;
      confirmations = found ?? 0;
      if (confirmations >= order.confirmations) {
        progress.show(`waiting: ${confirmations} of ${order.confirmations} confirmations, height ${height}`);
        return { txid, confirmations, end: 'confirmed' };
      }
      const replacement = found === undefined ? replacementOf(payment.walletPath, txid) : undefined;
      if (replacement !== undefined) {
        progress.show(`waiting: ${txid} was replaced by ${replacement}`);
        progress.end();
        txid = replacement;
        continue;
      }
      const state =
        found === undefined
          ? 'the node does not know the payment at the moment'
          : `${confirmations} of ${order.confirmations} confirmations`;
      progress.show(`waiting: ${state}, height ${height}`);
      if (interrupt.happened()) return { txid, confirmations, end: 'interrupted' };
      const restMs = end - performance.now();
      if (restMs <= 0) return { txid, confirmations, end: 'time-out' };
      await Promise.race([sleep(Math.min(POLL_MS, restMs)), interrupt.promise]);
    }
  } finally {
    progress.end();
    interrupt.release();
  }
}

/** What a wait adds to the result of the command. */
export function outcomeOf(
  { txid, confirmations }: WaitResult,
  sent: string,
): { readonly confirmations: number; readonly replacedBy: string | null } {
  return { confirmations, replacedBy: txid === sent ? null : txid };
}

/** The error of a wait that did not come to its end: the payment was sent all the same. Undefined where it did. */
export function waitFailure(result: WaitResult, order: WaitOrder, account: string): CliError | undefined {
  if (result.end === 'confirmed') return undefined;
  const { txid, confirmations } = result;
  const look = `it stays valid: look with "grapevine node rpc getrawtransaction ${txid} 1"`;
  const hint =
    confirmations > 0 ? look : `${look}, or speed it up with "grapevine wallet bump ${txid} --account ${account}"`;
  if (result.end === 'interrupted') {
    return new CliError(Exit.failed, 'interrupted', `nobody waits any more; the payment ${txid} was sent`, hint);
  }
  return new CliError(
    Exit.timeout,
    'wait-timeout',
    `${confirmations} of ${order.confirmations} confirmations after ${order.timeoutMs / 1000} s; the payment ${txid} was sent`,
    hint,
  );
}

/** One line that changes on a terminal; elsewhere a line for every change. */
class Progress {
  readonly #options: GlobalOptions;
  readonly #inPlace: boolean;
  #shown = '';

  constructor(options: GlobalOptions) {
    this.#options = options;
    this.#inPlace = process.stderr.isTTY === true && !options.quiet && !options.json;
  }

  show(text: string): void {
    if (text === this.#shown) return;
    if (this.#inPlace) process.stderr.write(`${NEW_LINE_HERE}${text}`);
    else note(this.#options, text);
    this.#shown = text;
  }

  end(): void {
    if (this.#inPlace && this.#shown !== '') process.stderr.write('\n');
    this.#shown = '';
  }
}

/** Ctrl-C as a promise, so that what is known can still be said. A second one ends the process at once. */
function onInterrupt(): { readonly promise: Promise<void>; happened(): boolean; release(): void } {
  let happened = false;
  let resolve: () => void = () => undefined;
  const promise = new Promise<void>((settle) => {
    resolve = settle;
  });
  const onSignal = () => {
    if (happened) process.exit(Exit.failed);
    happened = true;
    resolve();
  };
  process.on('SIGINT', onSignal);
  return { promise, happened: () => happened, release: () => process.off('SIGINT', onSignal) };
}

function replacementOf(walletPath: string, txid: string): string | undefined {
  return readState(walletPath).pending.find((payment) => payment.txid === txid)?.replacedBy;
}

/** 0 while it is in the pool; undefined if the node knows nothing of it, as after a reorg that dropped it. */
export async function confirmationsOf(connection: Connection, txid: string): Promise<number | undefined> {
  try {
    const tx = (await connection.client.call('getrawtransaction', [txid, 1])) as Record<string, unknown>;
    return typeof tx['confirmations'] === 'number' ? tx['confirmations'] : 0;
  } catch (error) {
    if (error instanceof NodeRefusal && error.rpcCode === UNKNOWN_TRANSACTION) return undefined;
    throw error;
  }
}
