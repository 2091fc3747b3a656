/**
 * Keys of a wallet: BIP 32 derivation on the paths of BIP 86 (`m/86h/COINh/0h/CHAIN/INDEX`) or of a descriptor, single-key
 * Taproot outputs. Pure. Words and seeds are in mnemonic.ts, texts of descriptors in descriptor.ts, files in keystore.ts.
 */
import { HDKey } from '@scure/bip32';
import { hexToBytes } from '#hash';
import type { Bytes, Result } from '../consensus/brand.ts';
import { fail, ok } from '../consensus/brand.ts';
import type { ChainParams } from '../consensus/params.ts';
import { tweakPublicKey, tweakSecretKey } from '../consensus/signature.ts';
import {
  type AccountPublicKey,
  accountDescriptor,
  type Descriptor,
  EXTERNAL,
  INTERNAL,
  type KeyPlace,
} from './key-place.ts';

/** An account that can sign. Keep it no longer than the command runs. */
export class AccountSecret {
  readonly publicKey: AccountPublicKey;
  readonly #chains: readonly [HDKey, HDKey];

  /** `seed` is 16 to 64 bytes, of BIP 39 or of a test vector. */
  constructor(seed: Bytes, params: ChainParams, account = 0) {
    const master = HDKey.fromMasterSeed(seed, versionsOf(params));
    const path = accountPath(params, account);
    const key = master.derive(path.replaceAll('h', "'"));
    this.publicKey = {
      fingerprint: master.fingerprint.toString(16).padStart(8, '0'),
      path,
      xpub: key.publicExtendedKey,
    };
    this.#chains = [key.deriveChild(EXTERNAL), key.deriveChild(INTERNAL)];
  }

  /** The secret key of the output at that place: the derived key with BIP 341's tweak. */
  outputSecret(place: KeyPlace): Bytes {
    const { privateKey } = this.#chains[place.chain].deriveChild(place.index);
    if (privateKey === null) throw new Error('a key that was derived from a seed has a secret');
    return tweakSecretKey(privateKey);
  }
}

/** What the keys of a chain are children of in BIP 32's tree: 33 and 32 bytes. */
export interface ChainKey {
  readonly publicKey: Bytes;
  readonly chainCode: Bytes;
}

/** Derives the output keys of a descriptor. */
export class AccountAddresses {
  readonly #descriptor: Descriptor;
  /** For an extended key, one for each chain. */
  readonly #nodes: readonly HDKey[];

  private constructor(descriptor: Descriptor, nodes: readonly HDKey[]) {
    this.#descriptor = descriptor;
    this.#nodes = nodes;
  }

  /** Refuses a text that is no extended public key of that network. */
  static fromPublicKey(account: AccountPublicKey, params: ChainParams): Result<AccountAddresses, string> {
    return AccountAddresses.fromDescriptor(accountDescriptor(account), params);
  }

  /** Refuses an extended key that is none of that network, and a key that is no point of the curve. */
  static fromDescriptor(descriptor: Descriptor, params: ChainParams): Result<AccountAddresses, string> {
    if (descriptor.key.type === 'single') {
      const output = tweakPublicKey(hexToBytes(descriptor.key.key));
      return output.ok ? ok(new AccountAddresses(descriptor, [])) : fail(output.error);
    }
    let key: HDKey;
    try {
      key = HDKey.fromExtendedKey(descriptor.key.xpub, versionsOf(params));
    } catch (error) {
      // The library tells a bad text by an exception only.
      return fail(`no extended public key of ${params.name}: ${(error as Error).message}`);
    }
    if (key.privateKey !== null) return fail('this is an extended private key');
    const nodes = descriptor.chains.map((steps) => steps.reduce((node, step) => node.deriveChild(step), key));
    return ok(new AccountAddresses(descriptor, nodes));
  }

  /** The 32 bytes of internal key at that place, before BIP 341's tweak. Throws where the descriptor has no such place. */
  internalKey({ chain, index }: KeyPlace): Bytes {
    const { key, chains, ranged } = this.#descriptor;
    if (chains[chain] === undefined || (!ranged && index > 0)) throw new Error(`there is no key at ${chain}/${index}`);
    if (key.type === 'single') return hexToBytes(key.key);
    const node = this.#nodes[chain] as HDKey;
    return publicKeyOf(ranged ? node.deriveChild(index) : node).subarray(1);
  }

  /** The 32 bytes of output key at that place. */
  outputKey(place: KeyPlace): Bytes {
    const output = tweakPublicKey(this.internalKey(place));
    if (!output.ok) throw new Error(`a derived key is a point: ${output.error}`);
    return output.value;
  }

  /** What the children of a ranged chain are derived from: for those who derive many at once with a faster library. */
  chainKey(chain: KeyPlace['chain']): ChainKey | undefined {
    const node = this.#descriptor.ranged ? this.#nodes[chain] : undefined;
    if (node === undefined || node.chainCode === null) return undefined;
    return { publicKey: publicKeyOf(node), chainCode: node.chainCode };
  }
}

function publicKeyOf({ publicKey }: HDKey): Bytes {
  if (publicKey === null) throw new Error('every key has a public key');
  return publicKey;
}

/** `m/86h/1h/0h`: BIP 86's account path on a network. */
export function accountPath(params: ChainParams, account = 0): string {
  return `m/86h/${params.coinType}h/${account}h`;
}

function versionsOf(params: ChainParams): { public: number; private: number } {
  return { public: params.bip32.public, private: params.bip32.private };
}
