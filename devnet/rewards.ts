/**
 * Where the blocks of a devnet's miners pay, on networks where blocks cost work: each node to an address of its own, by which
 * its blocks are recognised. All of them are the faucet's, which can spend what is mined.
 */

import { bytesToHex } from '#hash';
import { encodeAddress, p2trScript } from '../consensus/address.ts';
import type { ChainParams } from '../consensus/params.ts';
import { type AccountPublicKey, EXTERNAL } from '../wallet/key-place.ts';
import { AccountAddresses } from '../wallet/keys.ts';
import { withState } from '../wallet/wallet-state.ts';

export interface RewardKey {
  readonly node: string;
  readonly address: string;
  /** As hex. */
  readonly script: string;
}

/** Of the nodes n0, n1, …: the addresses of the faucet behind its first one, which is shown and was funded. */
export function rewardKeys(faucet: AccountPublicKey, nodes: number, params: ChainParams): RewardKey[] {
  const addresses = AccountAddresses.fromPublicKey(faucet, params);
  if (!addresses.ok) throw new Error(`a derived key can be read back: ${addresses.error}`);
  return Array.from({ length: nodes }, (_, index) => {
    const key = addresses.value.outputKey({ chain: EXTERNAL, index: index + 1 });
    return { node: `n${index}`, address: encodeAddress(key, params.hrp), script: bytesToHex(p2trScript(key)) };
  });
}

/** Tells the faucet's wallet that these addresses were given out, so that it looks at all of them. */
export function giveOutRewardKeys(wallet: string, keys: readonly RewardKey[]): Promise<void> {
  return withState(wallet, { what: 'the wallet of the faucet' }, async ({ value, save }) => {
    const external = Math.max(value.next.external, keys.length + 1);
    save({ ...value, next: { ...value.next, external } });
  });
}
