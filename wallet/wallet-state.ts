/**
 * What a wallet remembers between commands, beside its file: the indexes that were given out, and the payments that may
 * not have reached every node yet, so that none of their coins is chosen again. Nothing here is needed to find the money:
 * without this file the addresses are found again on the chain.
 */
import { readFileSync } from 'node:fs';
import type { OutPointKey, Txid } from '../consensus/brand.ts';
import { CliError, Exit } from '../node/commands/cli.ts';
import { replaceFile } from './atomic-file.ts';
import { type LockOptions, withLock } from './file-lock.ts';
import { statePath } from './keystore.ts';

const STATE_SCHEMA = 1;
/** How long another send of the same wallet is waited for: somebody may be reading its confirmation prompt. */
const LOCK_TIMEOUT_MS = 60_000;

/** A payment that was signed here. */
export interface PendingPayment {
  readonly txid: Txid;
  /** The whole transaction: it is given to a node that does not know it yet. */
  readonly hex: string;
  /** Keys of the coins that it spends. */
  readonly spends: readonly OutPointKey[];
  /** Seconds since 1970. */
  readonly createdAt: number;
  /** False until a node has taken it. A payment that stays so was interrupted. */
  readonly sent: boolean;
  /** The payment that took its place for a higher fee: it is not given to nodes any more. */
  readonly replacedBy?: Txid;
}

export interface WalletState {
  readonly schema: typeof STATE_SCHEMA;
  /** The first index of each chain that was never given out. */
  readonly next: { readonly external: number; readonly internal: number };
  /** Oldest first. */
  readonly pending: readonly PendingPayment[];
  /** How many unused addresses are looked at behind the last that was used or given out; absent: `GAP_LIMIT`. */
  readonly gapLimit?: number;
}

const EMPTY: WalletState = { schema: STATE_SCHEMA, next: { external: 0, internal: 0 }, pending: [] };

/** The state of the wallet at `walletPath`; an empty one if nothing was remembered yet. */
export function readState(walletPath: string): WalletState {
  const path = statePath(walletPath);
  let text: string;
  try {
    text = readFileSync(path, 'utf8');
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return EMPTY;
    throw new CliError(Exit.failed, 'wallet-state', `cannot read ${path}: ${(error as Error).message}`);
  }
  try {
    const value = JSON.parse(text) as WalletState | null;
    if (value?.schema === STATE_SCHEMA) return value;
  } catch (error) {
    if (!(error instanceof SyntaxError)) throw error;
  }
  throw new CliError(
    Exit.failed,
    'wallet-state',
    `${path} is damaged, or was written by a newer grapevine`,
    'it can be removed if no payment was sent in the last minutes: the addresses are found again on the chain',
  );
}

/** The state while this process alone may change it. */
export interface OpenState {
  readonly value: WalletState;
  /** Written to disk before it returns. */
  save(value: WalletState): void;
}

/** Runs `action` with the state, alone: other commands that change this wallet wait. */
export async function withState<T>(
  walletPath: string,
  options: Omit<LockOptions, 'timeoutMs'>,
  action: (state: OpenState) => Promise<T>,
): Promise<T> {
  const lock = statePath(walletPath).replace(/\.state\.json$/, '.lock');
  return withLock(lock, { ...options, timeoutMs: LOCK_TIMEOUT_MS }, () => {
    let value = readState(walletPath);
    return action({
      get value() {
        return value;
      },
      save(next) {
        replaceFile(statePath(walletPath), `${JSON.stringify(next, null, 2)}\n`);
        value = next;
      },
    });
  });
}
