/**
 * The funded accounts of a devnet. Their words come from a text that anybody can hash, so the keys are public by design:
 * the same seed gives the same accounts on every machine, and nothing of value must ever be sent to them.
 */
import { sha256 } from '#hash';
import { encodeAddress, p2trScript } from '../consensus/address.ts';
import type { Bytes } from '../consensus/brand.ts';
import type { ChainParams } from '../consensus/params.ts';
import { type AccountPublicKey, EXTERNAL } from '../wallet/key-place.ts';
import { AccountAddresses, AccountSecret } from '../wallet/keys.ts';
import { ENTROPY_BYTES, mnemonicFromEntropy, seedFromMnemonic } from '../wallet/mnemonic.ts';

/** The account that gets the rewards of all blocks which no other account is paid by. */
export const FAUCET = 'faucet';

/** Accounts beyond these are called user21, user22, … */
const NAMES = [
  ...['alice', 'bob', 'carol', 'dave', 'erin', 'frank', 'grace', 'heidi', 'ivan', 'judy'],
  ...['kim', 'leo', 'mallory', 'nina', 'olivia', 'peggy', 'quinn', 'rupert', 'sybil', 'trent'],
];

export interface AccountKeys {
  readonly name: string;
  readonly mnemonic: string;
  readonly publicKey: AccountPublicKey;
  /** Its first receiving address (BIP 86), the one that the first blocks pay, and the script of that. */
  readonly address: string;
  readonly script: Bytes;
}

export function accountNames(count: number): string[] {
  return Array.from({ length: count }, (_, index) => NAMES[index] ?? `user${index + 1}`);
}

/** The accounts of a seed in the order of their names, and the faucet. */
export async function deriveAccounts(
  count: number,
  seed: number,
  params: ChainParams,
): Promise<{ accounts: AccountKeys[]; faucet: AccountKeys }> {
  const [faucet, ...accounts] = await Promise.all(
    [FAUCET, ...accountNames(count)].map((name) => deriveAccount(name, seed, params)),
  );
  return { accounts, faucet: faucet as AccountKeys };
}

async function deriveAccount(name: string, seed: number, params: ChainParams): Promise<AccountKeys> {
  const text = `grapevine devnet account, public by design: seed ${seed}, ${name}`;
  const entropy = sha256(new TextEncoder().encode(text)).subarray(0, ENTROPY_BYTES[12]);
  const mnemonic = await mnemonicFromEntropy(entropy);
  const { publicKey } = new AccountSecret(seedFromMnemonic(mnemonic), params);
  const addresses = AccountAddresses.fromPublicKey(publicKey, params);
  if (!addresses.ok) throw new Error(`a derived key can be read back: ${addresses.error}`);
  const key = addresses.value.outputKey({ chain: EXTERNAL, index: 0 });
  return { name, mnemonic, publicKey, address: encodeAddress(key, params.hrp), script: p2trScript(key) };
}
