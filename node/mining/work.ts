/**
 * A block template as a miner outside the node uses it (BIP 22, RULES.md D4): read from the node's answer, completed by a
 * coinbase of our own, cut into headers that differ in an extra nonce and in their time (the search rolls their version), and
 * put together to the block at the end. Pure.
 */
import { bytesToHex, hexToBytes, sha256d } from '#hash';
import { encodeHeader, type HeaderFields, type MerkleRoot, makeHeader } from '../../consensus/block.ts';
import { type BlockHash, type Bytes, fail, idFromBytes, idToBytes, ok, type Result } from '../../consensus/brand.ts';
import { heightPush } from '../../consensus/check-block.ts';
import { concatBytes, Writer } from '../../consensus/codec.ts';
import { RESERVED_VALUE_SIZE } from '../../consensus/merkle.ts';
import { targetOf } from '../../consensus/pow.ts';
import { encodeTransaction, makeTransaction, NULL_TXID, NULL_VOUT } from '../../consensus/transaction.ts';
import { canRollVersion } from './kernel.ts';
import { merkleBranch } from './stratum.ts';

/** Bytes that tell miners apart, and that each counts through. */
export const MINER_ID_SIZE = 4;
const COUNTER_SIZE = 4;
const COINBASE_VERSION = 2;
const SEQUENCE_FINAL = 0xffffffff;
/** A header is dated with the time that has gone by since its template was made, but not later than this. */
const MAX_TIME_ROLL_SECONDS = 60;

/** What is needed of getblocktemplate's answer. */
export interface WorkTemplate {
  readonly version: number;
  readonly prevHash: BlockHash;
  readonly height: number;
  readonly bits: number;
  /** The node's time when it answered, and the earliest that the rules allow; seconds since 1970. */
  readonly time: number;
  readonly minTime: number;
  /** Satoshis. */
  readonly coinbaseValue: number;
  /** The script that commits to the witnesses; undefined where there are none. */
  readonly commitment: Bytes | undefined;
  /** Without the coinbase; serializations and ids as hex. */
  readonly transactions: readonly { readonly data: string; readonly txid: string }[];
  /** What a long poll must name, so that it is answered when there is something better. */
  readonly longPollId: string;
}

/** Reads the answer of a node; what is wrong with it, if that is no template. */
export function readWorkTemplate(answer: unknown): Result<WorkTemplate, string> {
  if (typeof answer !== 'object' || answer === null) return fail('its template is no object');
  const fields = answer as Record<string, unknown>;
  const problems: string[] = [];
  const whole = (name: string): number => {
    const value = fields[name];
    if (Number.isSafeInteger(value)) return value as number;
    problems.push(name);
    return 0;
  };
  const hex = (name: string, bytes?: number): string => {
    const value = fields[name];
    if (isHex(value, bytes)) return value;
    problems.push(name);
    return '';
  };
  const commitment = fields['default_witness_commitment'];
  const longPollId = fields['longpollid'];
  if (typeof longPollId !== 'string') problems.push('longpollid');
  const list: readonly unknown[] = Array.isArray(fields['transactions']) ? fields['transactions'] : [null];
  if (!list.every(isTransaction)) problems.push('transactions');
  const template: WorkTemplate = {
    version: whole('version'),
    prevHash: hex('previousblockhash', 32) as BlockHash,
    height: whole('height'),
    bits: Number.parseInt(hex('bits', 4), 16),
    time: whole('curtime'),
    minTime: whole('mintime'),
    coinbaseValue: whole('coinbasevalue'),
    commitment: commitment === undefined ? undefined : hexToBytes(hex('default_witness_commitment')),
    transactions: list.filter(isTransaction),
    longPollId: typeof longPollId === 'string' ? longPollId : '',
  };
  if (problems.length === 0 && targetOf(template.bits) === 0n) problems.push('bits');
  return problems.length === 0 ? ok(template) : fail(`its template has no usable ${problems.join(', ')}`);
}

/** What was found for a work: with the nonce, the header meets its target. */
export interface Solution {
  readonly extraNonce: number;
  readonly time: number;
  /** The template's, or one that the search has rolled. */
  readonly version: number;
  readonly nonce: number;
}

/** A template with a coinbase that pays to us. */
export class Work {
  readonly template: WorkTemplate;
  readonly #script: Bytes;
  readonly #minerId: Bytes;
  /** The coinbase as its id is computed, before and after the counter. */
  readonly #before: Bytes;
  readonly #after: Bytes;
  /** The hashes beside the way from the coinbase to the Merkle root. */
  readonly #branch: readonly Bytes[];
  readonly #latest: number;

  /**
   * `script` is paid. `minerId`: MINER_ID_SIZE bytes that no other miner has, so that no two try the same headers.
   * `maxFutureSeconds`: how far ahead of a node's clock the network lets a block be dated.
   */
  constructor(
    template: WorkTemplate,
    options: { readonly script: Bytes; readonly minerId: Bytes; readonly maxFutureSeconds: number },
  ) {
    this.template = template;
    this.#script = options.script;
    this.#minerId = options.minerId;
    const stripped = encodeTransaction(this.#coinbase(0), { witness: false });
    // In front of the script: version, number of inputs, prevout, length of the script.
    const at = 4 + 1 + 36 + 1 + this.#scriptSig(0).length - COUNTER_SIZE;
    this.#before = stripped.slice(0, at);
    this.#after = stripped.slice(at + COUNTER_SIZE);
    this.#branch = merkleBranch(template.transactions.map(({ txid }) => idToBytes(txid)));
    // The clock of a node for tests may stand still: half of what is allowed is always near enough.
    this.#latest = template.time + Math.min(MAX_TIME_ROLL_SECONDS, Math.floor(options.maxFutureSeconds / 2));
  }

  /** Whether the search may roll the headers' version. */
  get rolling(): boolean {
    return canRollVersion(this.template.version);
  }

  /** The time for a header, so many seconds after the template came. */
  timeAfter(seconds: number): number {
    const { time, minTime } = this.template;
    return Math.max(minTime, Math.min(this.#latest, time + Math.floor(seconds)));
  }

  /** The 80 bytes of a header with nonce 0. `extraNonce` counts modulo 2^32. */
  header(extraNonce: number, time: number): Bytes {
    return encodeHeader(this.#fields({ extraNonce, time, version: this.template.version, nonce: 0 }));
  }

  /** The block, for submitblock. */
  block(solution: Solution): { readonly hash: BlockHash; readonly hex: string } {
    const header = makeHeader(this.#fields(solution));
    const { transactions } = this.template;
    const head = new Writer()
      .raw(encodeHeader(header))
      .compact(transactions.length + 1)
      .raw(encodeTransaction(this.#coinbase(solution.extraNonce)))
      .finish();
    return { hash: header.hash, hex: bytesToHex(head) + transactions.map(({ data }) => data).join('') };
  }

  #fields({ extraNonce, time, version, nonce }: Solution): HeaderFields {
    const { prevHash, bits } = this.template;
    let root = sha256d(concatBytes(this.#before, counterBytes(extraNonce), this.#after));
    for (const hash of this.#branch) root = sha256d(concatBytes(root, hash));
    return { version, prevHash, merkleRoot: idFromBytes<MerkleRoot>(root), time, bits, nonce };
  }

  #coinbase(extraNonce: number): ReturnType<typeof makeTransaction> {
    const { coinbaseValue, commitment } = this.template;
    const reward = { value: BigInt(coinbaseValue), scriptPubKey: this.#script };
    const input = {
      prevout: { txid: NULL_TXID, vout: NULL_VOUT },
      scriptSig: this.#scriptSig(extraNonce),
      sequence: SEQUENCE_FINAL,
      witness: commitment === undefined ? [] : [new Uint8Array(RESERVED_VALUE_SIZE)],
    };
    const outputs = commitment === undefined ? [reward] : [reward, { value: 0n, scriptPubKey: commitment }];
    return makeTransaction({ version: COINBASE_VERSION, inputs: [input], outputs, lockTime: 0 });
  }

  /** The height (BIP 34), then a push of what makes it differ from all others. */
  #scriptSig(extraNonce: number): Bytes {
    const push = Uint8Array.of(MINER_ID_SIZE + COUNTER_SIZE);
    return concatBytes(heightPush(this.template.height), push, this.#minerId, counterBytes(extraNonce));
  }
}

function counterBytes(extraNonce: number): Bytes {
  const bytes = new Uint8Array(COUNTER_SIZE);
  new DataView(bytes.buffer).setUint32(0, extraNonce);
  return bytes;
}

function isTransaction(value: unknown): value is { readonly data: string; readonly txid: string } {
  if (typeof value !== 'object' || value === null) return false;
  const { data, txid } = value as { data?: unknown; txid?: unknown };
  return isHex(data) && isHex(txid, 32);
}

function isHex(value: unknown, bytes?: number): value is string {
  if (typeof value !== 'string' || value.length % 2 !== 0) return false;
  return (bytes === undefined || value.length === 2 * bytes) && /^[0-9a-f]*$/i.test(value);
}
