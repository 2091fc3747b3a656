/**
 * Which public keys a wallet has, as data, and where each stands: BIP 44's two chains, an index in one of them, and descriptors
 * (their text is in descriptor.ts, derivation in keys.ts). Pure, and light: every command loads it.
 */

/** Receiving addresses, which are given away. */
export const EXTERNAL = 0;
/** Change addresses, which never are. */
export const INTERNAL = 1;
export type KeyChain = typeof EXTERNAL | typeof INTERNAL;

export interface KeyPlace {
  readonly chain: KeyChain;
  readonly index: number;
}

/** BIP 32: children from here on are hardened, and no public key leads to them. */
export const HARDENED = 2 ** 31;

/** What shows all addresses of an account and spends nothing. */
export interface AccountPublicKey {
  /** Of the master key, eight hex digits: names the seed in descriptors. */
  readonly fingerprint: string;
  /** `m/86h/1h/0h`. */
  readonly path: string;
  /** Serialized extended public key (`tpub…`). */
  readonly xpub: string;
}

/** Where a key comes from: what a signer needs to find its secret. */
export interface KeyOrigin {
  /** Of the master key, eight hex digits. */
  readonly fingerprint: string;
  /** Steps from the master key, `86h/1h/0h`; empty for the master key itself. */
  readonly path: string;
}

export type DescriptorKey =
  /** Serialized extended public key (`tpub…`). */
  | { readonly type: 'extended'; readonly xpub: string }
  /** One internal key: 32 bytes in hex. */
  | { readonly type: 'single'; readonly key: string };

/** Steps from the extended key, none of them hardened. */
export type Steps = readonly number[];

export interface Descriptor {
  readonly origin: KeyOrigin | undefined;
  readonly key: DescriptorKey;
  /** The steps of the receiving chain, and those of the change chain if there is one. */
  readonly chains: readonly [Steps] | readonly [Steps, Steps];
  /** An address for every index of a chain (`/*`), or one for the chain. */
  readonly ranged: boolean;
}

/** The descriptor of an account's extended public key, both chains: BIP 86. `path` is `m/86h/1h/0h`. */
export function accountDescriptor(account: AccountPublicKey): Descriptor {
  const { fingerprint, path, xpub } = account;
  return {
    origin: { fingerprint, path: path.replace(/^m\/?/, '') },
    key: { type: 'extended', xpub },
    chains: [[EXTERNAL], [INTERNAL]],
    ranged: true,
  };
}

/** How many addresses a chain of the descriptor has. */
export function addressCount(descriptor: Descriptor, chain: KeyChain): number {
  if (descriptor.chains[chain] === undefined) return 0;
  return descriptor.ranged ? HARDENED : 1;
}
