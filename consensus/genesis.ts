/**
 * First blocks of our own: one coinbase with a text, that pays to nobody. RULES.md A12. Bitcoin's own genesis is in params.ts.
 */
import { hexToBytes } from '#hash';
import { type Block, makeHeader } from './block.ts';
import type { BlockHash, Bytes } from './brand.ts';
import { concatBytes } from './codec.ts';
import { merkleRoot } from './merkle.ts';
import { decodeCompact } from './pow.ts';
import { makeTransaction, NULL_TXID, NULL_VOUT } from './transaction.ts';

/** BIP 341: a point whose discrete logarithm nobody knows. What is paid to it is lost. */
const NOBODY = hexToBytes('50929b74c1a04954b78b4b6035e97a5e078a5a0f28ec96d547bfee9ace803ac0');
const GENESIS_VERSION = 4;
/** What a coinbase script can hold: 100 bytes, less the byte that says how long the text is. */
export const MAX_GENESIS_TEXT = 75;
export const MAX_NONCE = 0xffffffff;

const NO_PARENT = '00'.repeat(32) as BlockHash;

export interface GenesisFields {
  /** ASCII, 1 to MAX_GENESIS_TEXT characters. */
  readonly text: string;
  /** Seconds since 1970. */
  readonly time: number;
  readonly bits: number;
  readonly nonce: number;
  /** Satoshis that nobody will have. */
  readonly value: bigint;
}

export function makeGenesis({ text, time, bits, nonce, value }: GenesisFields): Block {
  const coinbase = makeTransaction({
    version: 1,
    inputs: [
      {
        prevout: { txid: NULL_TXID, vout: NULL_VOUT },
        scriptSig: pushText(text),
        sequence: 0xffffffff,
        witness: [],
      },
    ],
    outputs: [{ value, scriptPubKey: concatBytes(Uint8Array.of(0x51, 0x20), NOBODY) }],
    lockTime: 0,
  });
  const { root } = merkleRoot([coinbase.txid]);
  const header = makeHeader({ version: GENESIS_VERSION, prevHash: NO_PARENT, merkleRoot: root, time, bits, nonce });
  return { header, transactions: [coinbase] };
}

/** The first nonce from zero upwards that gives the block its proof of work; undefined if none does. */
export function findGenesisNonce(fields: Omit<GenesisFields, 'nonce'>): number | undefined {
  const target = decodeCompact(fields.bits);
  if (target === null) return undefined;
  const { header } = makeGenesis({ ...fields, nonce: 0 });
  for (let nonce = 0; nonce <= MAX_NONCE; nonce++) {
    const { version, prevHash, merkleRoot: root, time, bits } = header;
    const { hash } = makeHeader({ version, prevHash, merkleRoot: root, time, bits, nonce });
    if (BigInt(`0x${hash}`) <= target) return nonce;
  }
  return undefined;
}

function pushText(text: string): Bytes {
  if (!/^[ -~]+$/.test(text) || text.length > MAX_GENESIS_TEXT) throw new Error('not a text for a genesis block');
  return concatBytes(Uint8Array.of(text.length), new TextEncoder().encode(text));
}
