/**
 * Merkle trees: the root over transaction ids that a header commits to, and the commitment to witnesses in the coinbase
 * (BIP 141). RULES.md A5 row 2 and A6 row 3.
 */
import { sha256d, sha256dInto } from '#hash';
import type { Block, MerkleRoot } from './block.ts';
import { type Bytes, idFromBytes, writeId } from './brand.ts';
import { concatBytes } from './codec.ts';
import type { TransactionFields } from './transaction.ts';

/** What begins the script of a commitment output: OP_RETURN, a push of 36 bytes, and BIP 141's four bytes. */
const COMMITMENT_PREFIX = Uint8Array.of(0x6a, 0x24, 0xaa, 0x21, 0xa9, 0xed);
const COMMITMENT_SIZE = 38;
/** Bytes of the only element of the coinbase's witness, the "witness reserved value". */
export const RESERVED_VALUE_SIZE = 32;

/**
 * Root of the tree over `ids` (display order); of no ids it is zero. `mutated` is set where two equal hashes stand side
 * by side at any level: then another list of ids has the same root (CVE-2012-2459), and nothing must be concluded about
 * the header from this body.
 */
export function merkleRoot(ids: readonly string[]): { root: MerkleRoot; mutated: boolean } {
  const { root, mutated } = foldTree(ids);
  return { root: idFromBytes<MerkleRoot>(root), mutated };
}

/** Root of the tree over the wtxids of a block, where the coinbase counts as 32 zero bytes. In hashing order. */
export function witnessRoot(block: Pick<Block, 'transactions'>): Bytes {
  return foldTree(block.transactions.map((tx, index) => (index === 0 ? null : tx.wtxid))).root;
}

/** What a commitment output holds for a witness root and a reserved value. */
export function commitmentHash(root: Bytes, reserved: Bytes): Bytes {
  return sha256d(concatBytes(root, reserved));
}

/** The output script that commits to `hash`. */
export function commitmentScript(hash: Bytes): Bytes {
  return concatBytes(COMMITMENT_PREFIX, hash);
}

/** Index of the output that holds the commitment, or -1. If several look like one, the last counts. */
export function findCommitment(coinbase: TransactionFields): number {
  return coinbase.outputs.findLastIndex(({ scriptPubKey }) => isCommitmentScript(scriptPubKey));
}

/** The 32 bytes that a commitment script commits to; what follows them has no meaning. */
export function committedHash(script: Bytes): Bytes {
  return script.subarray(COMMITMENT_PREFIX.length, COMMITMENT_SIZE);
}

function isCommitmentScript(script: Bytes): boolean {
  return script.length >= COMMITMENT_SIZE && COMMITMENT_PREFIX.every((byte, index) => script[index] === byte);
}

/** Two hashes side by side: what the hash above them is made of. */
const pair = new Uint8Array(64);

/** Folds the leaves level by level in one buffer; null stands for 32 zero bytes. */
function foldTree(leaves: readonly (string | null)[]): { root: Bytes; mutated: boolean } {
  // One place more than there are leaves: an odd last hash is paired with a copy of itself.
  const hashes = new Uint8Array((leaves.length + 1) * 32);
  leaves.forEach((leaf, index) => {
    if (leaf !== null) writeId(leaf, hashes, index * 32);
  });
  let mutated = false;
  for (let count = leaves.length; count > 1; count = Math.ceil(count / 2)) {
    if (count % 2 === 1) hashes.copyWithin(count * 32, (count - 1) * 32, count * 32);
    for (let at = 0; at < count; at += 2) {
      // Copied, because a view of every pair would take longer.
      for (let i = 0; i < 64; i++) pair[i] = hashes[at * 32 + i] as number;
      if (at + 1 < count && hasEqualHalves(pair)) mutated = true;
      sha256dInto(pair, hashes, at * 16);
    }
  }
  return { root: hashes.slice(0, 32), mutated };
}

function hasEqualHalves(pair: Bytes): boolean {
  for (let i = 0; i < 32; i++) if (pair[i] !== pair[i + 32]) return false;
  return true;
}
