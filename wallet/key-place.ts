/** Where a key stands in an account: BIP 44's two chains, and an index in one of them. Pure. */

/** Receiving addresses, which are given away. */
export const EXTERNAL = 0;
/** Change addresses, which never are. */
export const INTERNAL = 1;
export type KeyChain = typeof EXTERNAL | typeof INTERNAL;

export interface KeyPlace {
  readonly chain: KeyChain;
  readonly index: number;
}
