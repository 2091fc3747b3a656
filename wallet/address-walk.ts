/** Which addresses of a wallet are looked at: how far each of its chains is walked along. */
import { p2trScript, scriptHash } from '../consensus/address.ts';
import type { Bytes, ScriptHash } from '../consensus/brand.ts';
import { usageError } from '../node/commands/cli.ts';
import { EXTERNAL, INTERNAL, type KeyPlace } from './key-place.ts';
import type { OutputKeys } from './output-keys.ts';
import type { WalletState } from './wallet-state.ts';

/** How many unused addresses are looked at behind the last one that was used or given out (BIP 44), unless said otherwise. */
export const GAP_LIMIT = 20;
/** A node answers for so many scripts at once, and keys take time to derive. */
const MAX_GAP_LIMIT = 1000;
/** Scripts in one request: a wallet of many addresses asks several times. */
const SCRIPTS_PER_REQUEST = 200;

/** How far addresses are looked for: a wallet's state says it. */
export type ScanRange = Pick<WalletState, 'next' | 'gapLimit'>;

export interface WalletAddress {
  readonly place: KeyPlace;
  readonly scriptPubKey: Bytes;
  readonly hash: ScriptHash;
  /** Its index was given out before. */
  readonly given: boolean;
}

/** The first index of each chain behind all that were used. */
export interface UsedIndexes {
  readonly external: number;
  readonly internal: number;
}

/**
 * Visits the addresses of all chains in batches. `visit` answers which of its batch were used, and windows grow behind them;
 * undefined ends the walk, which then is undefined too.
 */
export async function walkAddresses(
  keys: OutputKeys,
  { next, gapLimit = GAP_LIMIT }: ScanRange,
  visit: (batch: readonly WalletAddress[]) => Promise<readonly KeyPlace[] | undefined>,
): Promise<UsedIndexes | undefined> {
  const given = [next.external, next.internal] as const;
  const used: [number, number] = [0, 0];
  const done: [number, number] = [0, 0];
  for (;;) {
    const batch: WalletAddress[] = [];
    for (const chain of [EXTERNAL, INTERNAL] as const) {
      // What was looked at before is looked at again, all at once: its keys cost nothing.
      const wanted = Math.max(given[chain] + gapLimit, used[chain] + gapLimit, keys.remembered(chain));
      const end = Math.min(wanted, keys.count(chain));
      for (const [offset, key] of (await keys.range(chain, done[chain], end)).entries()) {
        const scriptPubKey = p2trScript(key);
        const place = { chain, index: done[chain] + offset };
        batch.push({ place, scriptPubKey, hash: scriptHash(scriptPubKey), given: place.index < given[chain] });
      }
      done[chain] = Math.max(done[chain], end);
    }
    if (batch.length === 0) return { external: used[EXTERNAL], internal: used[INTERNAL] };
    for (let at = 0; at < batch.length; at += SCRIPTS_PER_REQUEST) {
      const places = await visit(batch.slice(at, at + SCRIPTS_PER_REQUEST));
      if (places === undefined) return undefined;
      for (const { chain, index } of places) used[chain] = Math.max(used[chain], index + 1);
    }
  }
}

/** `--gap-limit` as it was written. */
export function readGapLimit(text: string | undefined): number | undefined {
  if (text === undefined) return undefined;
  const limit = /^\d{1,6}$/.test(text) ? Number(text) : 0;
  if (limit >= 1 && limit <= MAX_GAP_LIMIT) return limit;
  throw usageError(`a gap limit is a number from 1 to ${MAX_GAP_LIMIT}, not "${text}"`, 'for example --gap-limit 100');
}
