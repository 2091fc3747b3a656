/** Block headers and blocks: the types and their serialization. */
import { type BlockHash, type Brand, type Bytes, idOf } from './brand.ts';
import { compactLength, Reader, Writer } from './codec.ts';
import { encodeTransaction, readTransaction, type Transaction } from './transaction.ts';

export const HEADER_SIZE = 80;

/** Root of a Merkle tree, in display order. */
export type MerkleRoot = Brand<string, 'MerkleRoot'>;

export interface HeaderFields {
  /** Signed 32 bits. */
  readonly version: number;
  readonly prevHash: BlockHash;
  readonly merkleRoot: MerkleRoot;
  /** Seconds since 1970, unsigned 32 bits. */
  readonly time: number;
  /** Compact target. */
  readonly bits: number;
  readonly nonce: number;
}

/** A header with its hash, computed once. Make one with `makeHeader` or `readHeader`. */
export interface BlockHeader extends HeaderFields {
  readonly hash: BlockHash;
}

export interface Block {
  readonly header: BlockHeader;
  readonly transactions: readonly Transaction[];
}

export function encodeHeader(header: HeaderFields): Bytes {
  return new Writer(HEADER_SIZE)
    .i32(header.version)
    .id(header.prevHash)
    .id(header.merkleRoot)
    .u32(header.time)
    .u32(header.bits)
    .u32(header.nonce)
    .finish();
}

export function makeHeader(fields: HeaderFields): BlockHeader {
  const { version, prevHash, merkleRoot, time, bits, nonce } = fields;
  const hash = idOf<BlockHash>(encodeHeader(fields));
  return { version, prevHash, merkleRoot, time, bits, nonce, hash };
}

/** Reads 80 bytes. */
export function readHeader(reader: Reader): BlockHeader {
  const raw = reader.view(HEADER_SIZE);
  const fields = new Reader(raw);
  return {
    version: fields.i32(),
    prevHash: fields.id<BlockHash>(),
    merkleRoot: fields.id<MerkleRoot>(),
    time: fields.u32(),
    bits: fields.u32(),
    nonce: fields.u32(),
    hash: idOf<BlockHash>(raw),
  };
}

/** Reads a block. Ten bytes is less than the smallest transaction, so a count that cannot fit is refused at once. */
export function readBlock(reader: Reader): Block {
  const header = readHeader(reader);
  const count = reader.size(Math.ceil(reader.remaining / 10));
  const transactions: Transaction[] = [];
  for (let i = 0; i < count; i++) transactions.push(readTransaction(reader));
  return { header, transactions };
}

export function encodeBlock(block: Block, options: { witness: boolean } = { witness: true }): Bytes {
  const writer = new Writer(blockSize(block)).raw(encodeHeader(block.header)).compact(block.transactions.length);
  for (const tx of block.transactions) writer.raw(encodeTransaction(tx, options));
  return writer.finish();
}

/** Bytes of the block with witnesses. */
export function blockSize(block: Block): number {
  let size = HEADER_SIZE + compactLength(block.transactions.length);
  for (const tx of block.transactions) size += tx.size;
  return size;
}

/** Bytes of the block without witnesses. */
export function blockStrippedSize(block: Block): number {
  let size = HEADER_SIZE + compactLength(block.transactions.length);
  for (const tx of block.transactions) size += tx.strippedSize;
  return size;
}

/** BIP 141 weight of a block. */
export function blockWeight(block: Block): number {
  return blockStrippedSize(block) * 3 + blockSize(block);
}
