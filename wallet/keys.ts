/**
 * Keys of a wallet: BIP 32 derivation on the paths of BIP 86 (`m/86h/COINh/0h/CHAIN/INDEX`), single-key Taproot outputs.
 * Pure. Words and seeds are in mnemonic.ts; who keeps what is in keystore.ts.
 */
import { HDKey } from '@scure/bip32';
import type { Bytes, Result } from '../consensus/brand.ts';
import { fail, ok } from '../consensus/brand.ts';
import type { ChainParams } from '../consensus/params.ts';
import { tweakPublicKey, tweakSecretKey } from '../consensus/signature.ts';
import { EXTERNAL, INTERNAL, type KeyPlace } from './key-place.ts';

/** What shows all addresses of an account and spends nothing. */
export interface AccountPublicKey {
  /** Of the master key, eight hex digits: names the seed in descriptors. */
  readonly fingerprint: string;
  /** `m/86h/1h/0h`. */
  readonly path: string;
  /** Serialized extended public key (`tpub…`). */
  readonly xpub: string;
}

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

/** Derives the output keys of an account from its extended public key. */
export class AccountAddresses {
  readonly #chains: readonly [HDKey, HDKey];

  private constructor(key: HDKey) {
    this.#chains = [key.deriveChild(EXTERNAL), key.deriveChild(INTERNAL)];
  }

  /** Refuses a text that is no extended public key of that network. */
  static fromPublicKey(account: AccountPublicKey, params: ChainParams): Result<AccountAddresses, string> {
    let key: HDKey;
    try {
      key = HDKey.fromExtendedKey(account.xpub, versionsOf(params));
    } catch (error) {
      // The library tells a bad text by an exception only.
      return fail(`no extended public key of ${params.name}: ${(error as Error).message}`);
    }
    if (key.privateKey !== null) return fail('this is an extended private key');
    return ok(new AccountAddresses(key));
  }

  /** The 32 bytes of output key at that place. */
  outputKey(place: KeyPlace): Bytes {
    const { publicKey } = this.#chains[place.chain].deriveChild(place.index);
    if (publicKey === null) throw new Error('every key has a public key');
    const output = tweakPublicKey(publicKey.subarray(1));
    if (!output.ok) throw new Error(`a derived key is a point: ${output.error}`);
    return output.value;
  }
}

/** `m/86h/1h/0h`: BIP 86's account path on a network. */
export function accountPath(params: ChainParams, account = 0): string {
  return `m/86h/${params.coinType}h/${account}h`;
}

function versionsOf(params: ChainParams): { public: number; private: number } {
  return { public: params.bip32.public, private: params.bip32.private };
}
