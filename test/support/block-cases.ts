/**
 * Blocks with one fault each, and valid blocks at the edge of a rule, all on top of one base chain. The table is the oracle of
 * the tests of consensus, and can be fed to any node by `submitblock`: `reason` is what Bitcoin Core answers there.
 */

import { getPublicKey } from '@noble/secp256k1';
import { hexToBytes, sha256 } from '#hash';
import { p2trScript } from '../../consensus/address.ts';
import type { Block, HeaderFields } from '../../consensus/block.ts';
import type { Bytes, Txid } from '../../consensus/brand.ts';
import { heightPush } from '../../consensus/check-block.ts';
import { SEQUENCE_FINAL } from '../../consensus/check-transaction.ts';
import { concatBytes } from '../../consensus/codec.ts';
import { merkleRoot } from '../../consensus/merkle.ts';
import { COIN, MAX_MONEY } from '../../consensus/params.ts';
import type { RejectKind } from '../../consensus/reject.ts';
import { SIGHASH_DEFAULT, SighashCache } from '../../consensus/sighash.ts';
import { signSchnorr, taggedHash, tweakPublicKey, tweakSecretKey } from '../../consensus/signature.ts';
import { makeTransaction, NULL_TXID, NULL_VOUT, type Transaction, type TxInput } from '../../consensus/transaction.ts';
import {
  assemble,
  type BlockOptions,
  buildCoinbase,
  carry,
  changed,
  outputOf,
  pay,
  type Spendable,
  type SpendOptions,
  spend,
  TestChain,
  testKey,
  unmine,
  withInput,
  withOutput,
} from './chain-builder.ts';

/** The height of the base chain: the next block begins a period of BIP 94. */
export const BASE_HEIGHT = 143;
const HEIGHT = BASE_HEIGHT + 1;
/** Height of the block whose payment makes the coins that the cases spend. */
const FUNDING_HEIGHT = 130;
/** Coins 1 to 5 belong to the keys of these numbers; 6 has a script below its key, and 7 pays to a key that is none. */
const KEY_COINS = 5;
const SCRIPT_COIN = 6;
const NOBODYS_COIN = 7;
/** Seconds between the blocks of the base chain. */
const SPACING = 600;
const FEE = 1000n;

export interface BlockCase {
  /** The rule of RULES.md that is broken, or at whose edge the block is. */
  readonly rule: string;
  readonly name: string;
  /** The reject string, or null for a block that is valid. */
  readonly reason: string | null;
  readonly kind?: RejectKind;
  readonly block: Block;
}

/** A chain of 143 blocks, with mature coinbases and with seven coins of 1 btc. */
export function baseChain(): TestChain {
  const chain = new TestChain();
  while (chain.height < BASE_HEIGHT) {
    chain.extend(chain.height + 1 === FUNDING_HEIGHT ? { transactions: [fundingOf(chain)], fees: FEE } : {});
  }
  return chain;
}

/** A 32-byte number that is not the x coordinate of a point. */
const OFF_CURVE_SCRIPT = concatBytes(Uint8Array.of(0x51, 0x20), new Uint8Array(32).fill(0xff));

/** The script of the only leaf below the output key of coin SCRIPT_COIN: anyone can spend it. */
const LEAF_SCRIPT = Uint8Array.of(0x51);
const LEAF_VERSION = 0xc0;
const LEAF_HASH = taggedHash('TapLeaf', Uint8Array.of(LEAF_VERSION, LEAF_SCRIPT.length), LEAF_SCRIPT);

function fundingOf(chain: TestChain): Transaction {
  const outputs = Array.from({ length: KEY_COINS }, (_, i) => pay(testKey(i + 1), COIN));
  const output = tweakPublicKey(testKey(SCRIPT_COIN).publicKey, LEAF_HASH);
  if (!output.ok) throw new Error(output.error);
  outputs.push(
    { value: COIN, scriptPubKey: p2trScript(output.value) },
    { value: COIN, scriptPubKey: OFF_CURVE_SCRIPT },
  );
  return spend([chain.coinbase(1)], [...outputs, pay(testKey(0), BigInt(50 - outputs.length) * COIN - FEE)]);
}

/** All cases on top of `baseChain()`. Each block is at height 144 and is judged at the time of `nowOf(chain)`. */
export function blockCases(chain: TestChain): BlockCase[] {
  return [
    ...bodyCases(chain),
    ...headerCases(chain),
    ...contextCases(chain),
    ...subsetCases(chain),
    ...coinCases(chain),
  ];
}

/** The clock at which the cases are judged: when the next block is due. */
export function nowOf(chain: TestChain): number {
  return chain.place.time + SPACING;
}

/** Collects cases; each function of a section below adds its own. */
class Cases {
  readonly list: BlockCase[] = [];
  readonly #kind: RejectKind;

  constructor(kind: RejectKind) {
    this.#kind = kind;
  }

  valid(rule: string, name: string, block: Block): void {
    this.list.push({ rule, name, reason: null, block });
  }

  fault(rule: string, name: string, reason: string, block: Block, kind: RejectKind = this.#kind): void {
    this.list.push({ rule, name, reason, kind, block });
  }
}

const bytes = (hex: string): Bytes => hexToBytes(hex.replaceAll(' ', ''));

/** A coin of 1 btc of the base chain, by its number. */
function coin(chain: TestChain, number: number): Spendable {
  const funding = chain.blockAt(FUNDING_HEIGHT).transactions[1] as Transaction;
  return outputOf(funding, number - 1, testKey(number));
}

/** A payment of coin 1 without a fee. */
function payment(chain: TestChain, options: SpendOptions = {}): Transaction {
  return spend([coin(chain, 1)], [pay(testKey(9), COIN)], options);
}

// RULES A5, A2: what holds for a block alone.
function bodyCases(chain: TestChain): BlockCase[] {
  const cases = new Cases('consensus');
  const tx = payment(chain);
  const good = chain.next();
  const block = (transactions: readonly Transaction[], options: BlockOptions = {}) =>
    chain.next({ transactions, ...options });

  cases.fault('A5.1', 'a hash above the target', 'high-hash', { ...good, header: unmine(good.header) }, 'header');
  for (const bits of [0, 0x03000000, 0x20800001, 0x23000001, 0x2100ffff, 0x1d00ffff]) {
    const name = `bits of ${bits.toString(16)}, which the hash does not meet`;
    cases.fault('A5.1', name, 'high-hash', { ...good, header: unmine({ ...good.header, bits }) }, 'header');
  }
  const wrongRoot = merkleRoot([tx.txid]).root;
  cases.fault(
    'A5.2',
    'another Merkle root',
    'bad-txnmrklroot',
    chain.next({ header: { merkleRoot: wrongRoot } }),
    'mutated',
  );
  const swapped = block([tx, spend([coin(chain, 2)], [pay(testKey(9), COIN)])]);
  const [first, second, third] = swapped.transactions as [Transaction, Transaction, Transaction];
  cases.fault(
    'A5.2',
    'transactions in another order',
    'bad-txnmrklroot',
    { ...swapped, transactions: [first, third, second] },
    'mutated',
  );
  const doubled = { ...swapped, transactions: [first, second, third, third] };
  cases.fault(
    'A5.2',
    'a doubled last transaction, which leaves the root as it is',
    'bad-txns-duplicate',
    doubled,
    'mutated',
  );
  const many = Array.from({ length: 24_000 }, () => pay(testKey(0), 0n));
  cases.fault('A5.3', 'more than 1,000,000 bytes without witnesses', 'bad-blk-length', chain.next({ outputs: many }));
  cases.fault(
    'A5.4',
    'a second coinbase',
    'bad-cb-multiple',
    block([buildCoinbase(HEIGHT, { tag: 'second' })], { commitment: false }),
  );

  const empty = makeTransaction({ version: 2, inputs: [], outputs: [], lockTime: 0 });
  cases.fault('A2.1', 'a transaction without inputs', 'bad-txns-vin-empty', block([empty]));
  cases.fault('A2.2', 'a transaction without outputs', 'bad-txns-vout-empty', block([spend([coin(chain, 1)], [])]));
  cases.fault('A2.4', 'a negative amount', 'bad-txns-vout-negative', block([withOutput(tx, 0, { value: -1n })]));
  cases.fault(
    'A2.4',
    'the most negative amount',
    'bad-txns-vout-negative',
    block([withOutput(tx, 0, { value: -(1n << 63n) })]),
  );
  cases.fault(
    'A2.4',
    'an amount above all money',
    'bad-txns-vout-toolarge',
    block([withOutput(tx, 0, { value: MAX_MONEY + 1n })]),
  );
  const rich = changed(tx, { outputs: [pay(testKey(9), MAX_MONEY), pay(testKey(9), 1n)] });
  cases.fault('A2.4', 'amounts that are above all money together', 'bad-txns-txouttotal-toolarge', block([rich]));
  const twice = spend([coin(chain, 1), coin(chain, 1)], [pay(testKey(9), COIN)]);
  cases.fault('A2.5', 'the same coin twice in a transaction', 'bad-txns-inputs-duplicate', block([twice]));
  cases.fault('A2.6', 'a coinbase script of 1 byte', 'bad-cb-length', chain.next({ scriptSig: Uint8Array.of(1) }));
  cases.fault('A2.6', 'a coinbase script of 101 bytes', 'bad-cb-length', chain.next({ tag: 'x'.repeat(98) }));
  cases.valid('A2.6', 'a coinbase script of 100 bytes', chain.next({ tag: 'x'.repeat(97) }));
  const nullPrevout = { txid: NULL_TXID, vout: NULL_VOUT };
  const withNull = changed(tx, { inputs: [...tx.inputs, { ...(tx.inputs[0] as TxInput), prevout: nullPrevout }] });
  cases.fault('A2.7', 'a null prevout beside another input', 'bad-txns-prevout-null', block([withNull]));

  const sigops = (count: number) =>
    chain.next({ outputs: [{ value: 0n, scriptPubKey: new Uint8Array(count).fill(0xae) }] });
  cases.fault('A5.6', '20,020 signature operations', 'bad-blk-sigops', sigops(1001));
  const noisy = concatBytes(heightPush(HEIGHT), new Uint8Array(97).fill(0xae));
  cases.valid('A5.6', 'as many signature operations as a coinbase script can hold', chain.next({ scriptSig: noisy }));
  cases.valid('A5', 'a coinbase alone', good);
  cases.valid('A5', 'a payment', block([tx]));
  return cases.list;
}

// RULES A4: the header on top of its parent.
function headerCases(chain: TestChain): BlockCase[] {
  const cases = new Cases('header');
  const { time } = chain.place;
  const medianTimePast = chain.medianTimePastAt(BASE_HEIGHT);
  const now = nowOf(chain);
  const header = (fields: Partial<HeaderFields>) => chain.next({ header: fields });

  cases.fault('A4.5', 'bits other than required, though met', 'bad-diffbits', header({ bits: 0x207ffffe }));
  cases.fault('A4.7', 'the median time past itself', 'time-too-old', header({ time: medianTimePast }));
  cases.fault(
    'A4.8',
    '601 seconds before the parent at the start of a period',
    'time-timewarp-attack',
    header({ time: time - 601 }),
  );
  cases.fault(
    'A4.8',
    'just after the median time past at the start of a period',
    'time-timewarp-attack',
    header({ time: medianTimePast + 1 }),
  );
  cases.valid('A4.8', '600 seconds before the parent at the start of a period', header({ time: time - 600 }));
  cases.fault('A4.9', '7,201 seconds ahead of the clock', 'time-too-new', header({ time: now + 7201 }), 'time-future');
  cases.valid('A4.9', '7,200 seconds ahead of the clock', header({ time: now + 7200 }));
  for (const version of [3, 2, 1, 0, -1, -0x80000000, 0x80000004 | 0]) {
    const hex = (version >>> 0).toString(16).padStart(8, '0');
    cases.fault('A4.10', `version ${version}`, `bad-version(0x${hex})`, header({ version }));
  }
  for (const version of [4, 0x7fffffff]) cases.valid('A4.10', `version ${version}`, header({ version }));
  return cases.list;
}

// RULES A6: the block at its height.
function contextCases(chain: TestChain): BlockCase[] {
  const cases = new Cases('consensus');
  const tx = payment(chain);
  const medianTimePast = chain.medianTimePastAt(BASE_HEIGHT);
  const block = (options: BlockOptions) => chain.next({ transactions: [tx], ...options });
  const locked = (lockTime: number, sequence = 0xfffffffe) =>
    chain.next({ transactions: [payment(chain, { lockTime, sequence })] });

  cases.fault('A6.1', 'a lock until this height', 'bad-txns-nonfinal', locked(HEIGHT));
  cases.valid('A6.1', 'a lock until the height before', locked(HEIGHT - 1));
  cases.fault('A6.1', 'a lock until the median time past', 'bad-txns-nonfinal', locked(medianTimePast));
  cases.valid('A6.1', 'a lock until just before the median time past', locked(medianTimePast - 1));
  cases.fault('A6.1', 'a lock until the first time', 'bad-txns-nonfinal', locked(0xffffffff));
  cases.fault('A6.1', 'a lock until the last height', 'bad-txns-nonfinal', locked(499_999_999));
  cases.valid('A6.1', 'a lock of which the only input opts out', locked(HEIGHT, SEQUENCE_FINAL));
  cases.fault('A6.1', 'a locked coinbase', 'bad-txns-nonfinal', chain.next({ lockTime: HEIGHT, sequence: 0 }));
  cases.valid('A6.1', 'a coinbase with a lock that has passed', chain.next({ lockTime: HEIGHT - 1, sequence: 0 }));

  const script = (hex: string) => chain.next({ scriptSig: bytes(hex) });
  cases.fault('A6.2', 'the height before', 'bad-cb-height', script('028f00'));
  cases.fault('A6.2', 'a height with a byte too many', 'bad-cb-height', script('03900000'));
  cases.fault('A6.2', 'a height without its sign byte', 'bad-cb-height', script('0190'));
  cases.fault('A6.2', 'a height pushed by OP_PUSHDATA1', 'bad-cb-height', script('4c029000'));
  cases.fault('A6.2', 'a height after something else', 'bad-cb-height', script('00029000'));
  cases.fault('A6.2', 'a script that ends inside the height', 'bad-cb-height', script('0290'));

  const reserved = new Uint8Array(32).fill(7);
  cases.valid('A6.3', 'a commitment without a payment', chain.next({ commitment: true }));
  cases.valid('A6.3', 'a reserved value that is not zero', block({ reserved }));
  const sizes: [string, Bytes[]][] = [
    ['31 bytes', [new Uint8Array(31)]],
    ['33 bytes', [new Uint8Array(33)]],
    ['no bytes', [new Uint8Array(0)]],
    ['two elements', [new Uint8Array(32), new Uint8Array(32)]],
  ];
  for (const [name, witness] of sizes) {
    cases.fault('A6.3', `a reserved value of ${name}`, 'bad-witness-nonce-size', block({ witness }), 'mutated');
  }
  cases.fault('A6.3', 'another reserved value', 'bad-witness-merkle-match', block({ witness: [reserved] }), 'mutated');
  const committed = block({});
  const coinbase = committed.transactions[0] as Transaction;
  const remade = (outputs: Transaction['outputs']) => assemble(chain.place, [changed(coinbase, { outputs }), tx]);
  const [reward, commitment] = coinbase.outputs as [Transaction['outputs'][0], Transaction['outputs'][0]];
  const bogus = { value: 0n, scriptPubKey: bytes(`6a24aa21a9ed${'00'.repeat(32)}`) };
  cases.fault('A6.3', 'a wrong commitment', 'bad-witness-merkle-match', remade([reward, bogus]), 'mutated');
  cases.fault(
    'A6.3',
    'a wrong commitment after the right one',
    'bad-witness-merkle-match',
    remade([reward, commitment, bogus]),
    'mutated',
  );
  cases.valid('A6.3', 'a wrong commitment before the right one', remade([bogus, commitment, reward]));
  const almost = { value: 0n, scriptPubKey: bytes(`6a25aa21a9ed${'00'.repeat(33)}`) };
  cases.valid('A6.3', 'a push of 37 bytes after the commitment, which is none', remade([reward, commitment, almost]));
  const resigned = withInput(tx, 0, { witness: payment(chain, { hashType: 1 }).inputs[0]?.witness ?? [] });
  cases.fault(
    'A6.3',
    'another witness than was committed to',
    'bad-witness-merkle-match',
    { ...committed, transactions: [coinbase, resigned] },
    'mutated',
  );
  cases.fault('A6.3', 'a witness without a commitment', 'unexpected-witness', block({ commitment: false }), 'mutated');
  cases.fault(
    'A6.3',
    'a coinbase witness without a commitment',
    'unexpected-witness',
    chain.next({ witness: [reserved] }),
    'mutated',
  );
  const heavy = withInput(tx, 0, { witness: [new Uint8Array(4_000_000)] });
  cases.fault('A6.4', 'a weight above 4,000,000', 'bad-blk-weight', chain.next({ transactions: [heavy] }));
  return cases.list;
}

// RULES A1: what Bitcoin allows and we do not. Core accepts these blocks.
function subsetCases(chain: TestChain): BlockCase[] {
  const cases = new Cases('subset');
  const output = (hex: string) => {
    const outputs = [{ value: COIN, scriptPubKey: bytes(hex) }];
    return chain.next({ transactions: [spend([coin(chain, 1)], outputs)] });
  };
  const others: [string, string][] = [
    ['pay to public key hash', `76a914${'ab'.repeat(20)}88ac`],
    ['pay to script hash', `a914${'ab'.repeat(20)}87`],
    ['witness version 0', `0014${'ab'.repeat(20)}`],
    ['witness version 2', `5220${'ab'.repeat(32)}`],
    ['an anchor', '51024e73'],
    ['OP_RETURN alone', '6a'],
    ['an empty push', '6a00'],
    ['a number opcode', '6a51'],
    ['two pushes', '6a01010101'],
    ['a longer push than needed', '6a4c0101'],
    ['81 bytes of data', `6a4c51${'00'.repeat(81)}`],
    ['an empty script', ''],
  ];
  for (const [name, hex] of others) cases.fault('S1', `an output script: ${name}`, 'subset-output-script', output(hex));
  const foreign = { value: 50n * COIN, scriptPubKey: bytes(`76a914${'ab'.repeat(20)}88ac`) };
  cases.fault(
    'S2',
    'a coinbase output script: pay to public key hash',
    'subset-output-script',
    chain.next({ outputs: [foreign] }),
  );
  const small = spend([coin(chain, 1)], [carry(Uint8Array.of(1, 2))]);
  cases.fault('S4', 'a transaction of 64 bytes', 'subset-tx-size', chain.next({ transactions: [small], fees: COIN }));
  cases.valid(
    'S4',
    'a transaction of 65 bytes',
    chain.next({ transactions: [spend([coin(chain, 1)], [carry('abc')])] }),
  );
  const key = 'a witness of two elements';
  cases.fault('S3', `${key}, the second an annex`, 'subset-witness', chain.next({ transactions: [annexSpend(chain)] }));
  cases.fault('S3', `${key}, a script path`, 'subset-witness', chain.next({ transactions: [scriptPathSpend(chain)] }));
  return cases.list;
}

/** A key-path spend with an annex, which Core accepts in a block: BIP 341's message with a spend type of 1 and the annex. */
function annexSpend(chain: TestChain): Transaction {
  const from = [coin(chain, 1)];
  const tx = spend(from, [pay(testKey(9), COIN)]);
  const annex = Uint8Array.of(0x50);
  const message = new SighashCache(tx, from).message(0, SIGHASH_DEFAULT);
  // Only the index of the input, four bytes, follows the spend type.
  message[message.length - 5] = 1;
  const digest = taggedHash('TapSighash', message, sha256(concatBytes(Uint8Array.of(annex.length), annex)));
  const signature = signSchnorr(testKey(1).secret, digest, new Uint8Array(32));
  return withInput(tx, 0, { witness: [signature, annex] });
}

/** A script-path spend, which Core accepts: the script and its control block, whose first byte holds the parity of the output key. */
function scriptPathSpend(chain: TestChain): Transaction {
  const tx = spend([coin(chain, SCRIPT_COIN)], [pay(testKey(9), COIN)]);
  const { publicKey, secret } = testKey(SCRIPT_COIN);
  const [prefix] = getPublicKey(tweakSecretKey(secret, LEAF_HASH), true);
  const control = concatBytes(Uint8Array.of(LEAF_VERSION | (prefix === 3 ? 1 : 0)), publicKey);
  return withInput(tx, 0, { witness: [LEAF_SCRIPT, control] });
}

// RULES A7, A3: with the coins.
function coinCases(chain: TestChain): BlockCase[] {
  const cases = new Cases('consensus');
  const tx = payment(chain);
  const block = (transactions: readonly Transaction[], options: BlockOptions = {}) =>
    chain.next({ transactions, ...options });
  const missing = 'bad-txns-inputs-missingorspent';

  const unknown = { ...coin(chain, 1), txid: 'ab'.repeat(32) as Txid };
  cases.fault('A3', 'a coin that never was', missing, block([spend([unknown], [pay(testKey(9), COIN)])]));
  const noOutput = { ...coin(chain, 1), vout: 100 };
  cases.fault(
    'A3',
    'an output that the transaction does not have',
    missing,
    block([spend([noOutput], [pay(testKey(9), COIN)])]),
  );
  cases.fault(
    'A3',
    'a coin that an earlier block spent',
    missing,
    block([spend([chain.coinbase(1)], [pay(testKey(9), COIN)])]),
  );
  const other = spend([coin(chain, 1)], [pay(testKey(8), COIN)]);
  cases.fault('A3', 'a coin that an earlier transaction of the block spent', missing, block([tx, other]));
  const child = spend([outputOf(tx, 0, testKey(9))], [pay(testKey(8), COIN)]);
  cases.valid('A7', 'a child after its parent', block([tx, child]));
  cases.fault('A7', 'a child before its parent', missing, block([child, tx]));
  const carrier = spend([coin(chain, 1)], [carry('data', COIN)]);
  const burnt = spend([{ ...outputOf(carrier, 0, testKey(1)) }], [pay(testKey(8), COIN)]);
  cases.fault('A7.5', 'a data output is spent', missing, block([carrier, burnt]));
  const genesisCoinbase = outputOf(chain.blockAt(0).transactions[0] as Transaction, 0, testKey(0));
  cases.fault(
    'A7.5',
    'the genesis coinbase is spent',
    missing,
    block([spend([genesisCoinbase], [pay(testKey(8), COIN)])]),
  );

  const premature = 'bad-txns-premature-spend-of-coinbase';
  const reward = (height: number) => spend([chain.coinbase(height)], [pay(testKey(9), 50n * COIN)]);
  cases.valid('A3', 'a coinbase of depth 100', block([reward(HEIGHT - 100)]));
  cases.fault('A3', 'a coinbase of depth 99', premature, block([reward(HEIGHT - 99)]));
  cases.fault('A3', 'a coinbase of depth 1', premature, block([reward(HEIGHT - 1)]));
  const ownCoinbase = buildCoinbase(HEIGHT);
  const own = spend([outputOf(ownCoinbase, 0, testKey(0))], [pay(testKey(9), 50n * COIN)]);
  cases.fault(
    'A3',
    'the coinbase of the same block',
    premature,
    assemble(chain.place, [ownCoinbase, changedToBare(own)]),
  );
  cases.fault(
    'A3',
    'more out than in',
    'bad-txns-in-belowout',
    block([spend([coin(chain, 1)], [pay(testKey(9), COIN + 1n)])]),
  );

  cases.valid('A7.3', 'a coinbase that pays less than it may', chain.next({ outputs: [pay(testKey(0), 1n)] }));
  cases.fault('A7.3', 'a coinbase that pays 1 satoshi too much', 'bad-cb-amount', chain.next({ fees: 1n }));
  const generous = spend([coin(chain, 1)], [pay(testKey(9), COIN - FEE)]);
  cases.valid('A7.3', 'a coinbase that takes the fees', block([generous], { fees: FEE }));
  cases.fault(
    'A7.3',
    'a coinbase that takes 1 satoshi more than the fees',
    'bad-cb-amount',
    block([generous], { fees: FEE + 1n }),
  );
  const burning = spend([coin(chain, 1)], [carry('burnt', COIN)]);
  cases.fault(
    'A7.3',
    'a coinbase that takes what a data output burnt',
    'bad-cb-amount',
    block([burning], { fees: 1n }),
  );

  cases.valid(
    'A9',
    'an output of zero and two data outputs',
    block([spend([coin(chain, 1)], [pay(testKey(9), 0n), carry('a'), carry('b', 5n)])]),
  );
  const toNobody = { value: COIN, scriptPubKey: OFF_CURVE_SCRIPT };
  cases.valid('A9', 'an output to a key that is none', block([spend([coin(chain, 1)], [toNobody])]));
  for (const version of [0, 1, 3, 0x7fffffff, 0xffffffff]) {
    cases.valid('A9', `a transaction of version ${version}`, block([payment(chain, { version })]));
  }
  return [...cases.list, ...lockCases(chain), ...signatureCases(chain)];
}

/** Without a witness the block needs no commitment, and the fault is the first that is found. */
function changedToBare(tx: Transaction): Transaction {
  return withInput(tx, 0, { witness: [] });
}

// BIP 68. The coins of the base chain have height 130; the next block has 144 and its parent's median time past is fixed.
function lockCases(chain: TestChain): BlockCase[] {
  const cases = new Cases('consensus');
  const depth = HEIGHT - FUNDING_HEIGHT;
  const elapsed = chain.medianTimePastAt(BASE_HEIGHT) - chain.medianTimePastAt(FUNDING_HEIGHT - 1);
  const units = Math.floor(elapsed / 512);
  const timeType = 0x00400000;
  const block = (sequence: number, version = 2) =>
    chain.next({ transactions: [payment(chain, { sequence, version })] });

  cases.valid('A3', `a relative lock of ${depth} blocks, which have passed`, block(depth));
  cases.fault('A3', 'a relative lock of one block more', 'bad-txns-nonfinal', block(depth + 1));
  cases.valid('A3', `a relative lock of ${units} · 512 seconds, which have passed`, block(timeType | units));
  cases.fault('A3', 'a relative lock of 512 seconds more', 'bad-txns-nonfinal', block(timeType | (units + 1)));
  cases.valid('A3', 'a relative lock in a transaction of version 1', block(depth + 1, 1));
  cases.fault(
    'A3',
    'a relative lock in a transaction of version 0xffffffff',
    'bad-txns-nonfinal',
    block(depth + 1, 0xffffffff),
  );
  cases.valid('A3', 'a relative lock that is switched off', block((0x80000000 | (depth + 1)) >>> 0));
  cases.valid('A3', 'bits of the sequence that have no meaning', block(0x7fbf0000 | depth));
  const parent = payment(chain);
  const child = (sequence: number) => spend([outputOf(parent, 0, testKey(9))], [pay(testKey(8), COIN)], { sequence });
  cases.valid(
    'A3',
    'a relative lock of 0 blocks on a coin of the same block',
    chain.next({ transactions: [parent, child(0)] }),
  );
  cases.fault(
    'A3',
    'a relative lock of 1 block on a coin of the same block',
    'bad-txns-nonfinal',
    chain.next({ transactions: [parent, child(1)] }),
  );
  cases.valid(
    'A3',
    'a relative lock of 0 seconds on a coin of the same block',
    chain.next({ transactions: [parent, child(timeType)] }),
  );
  cases.fault(
    'A3',
    'a relative lock of 512 seconds on a coin of the same block',
    'bad-txns-nonfinal',
    chain.next({ transactions: [parent, child(timeType | 1)] }),
  );
  return cases.list;
}

function signatureCases(chain: TestChain): BlockCase[] {
  const cases = new Cases('consensus');
  const from = [coin(chain, 1), coin(chain, 2)];
  const outputs = [pay(testKey(9), COIN), pay(testKey(8), COIN)];
  const block = (tx: Transaction) => chain.next({ transactions: [tx] });
  const script = (text: string) => `mandatory-script-verify-flag-failed (${text})`;
  const tx = payment(chain);
  const signature = tx.inputs[0]?.witness[0] as Bytes;
  const signed = (witness: readonly Bytes[]) => block(withInput(tx, 0, { witness }));
  const flipped = (at: number) => signature.map((byte, index) => (index === at ? byte ^ 1 : byte));

  for (const hashType of [0x00, 0x01, 0x02, 0x03, 0x81, 0x82, 0x83]) {
    cases.valid('A3', `two inputs signed with hash type ${hashType}`, block(spend(from, outputs, { hashType })));
  }
  cases.valid('A3', 'inputs signed with different hash types', block(spend(from, outputs, { hashType: [0x83, 0x02] })));

  cases.fault(
    'A3',
    'a script in an input',
    script('Witness requires empty scriptSig'),
    block(withInput(tx, 0, { scriptSig: Uint8Array.of(0x51) })),
  );
  cases.fault('A3', 'no witness', script('Witness program was passed an empty witness'), signed([]));
  const half = spend(from, outputs);
  cases.fault(
    'A3',
    'no witness in the second input',
    script('Witness program was passed an empty witness'),
    block(withInput(half, 1, { witness: [] })),
  );
  const size = script('Invalid Schnorr signature size');
  cases.fault('A3', 'an empty element', size, signed([new Uint8Array(0)]));
  cases.fault('A3', 'a signature of 63 bytes', size, signed([signature.subarray(0, 63)]));
  cases.fault('A3', 'a signature of 66 bytes', size, signed([concatBytes(signature, Uint8Array.of(1, 1))]));
  const type = script('Invalid Schnorr signature hash type');
  for (const byte of [0x00, 0x04, 0x80, 0x84, 0xff]) {
    cases.fault('A3', `a signature followed by ${byte}`, type, signed([concatBytes(signature, Uint8Array.of(byte))]));
  }
  for (const hashType of [0x03, 0x83]) {
    // Signed as if it were ALL, since there is no digest to sign.
    const single = spend(from, [pay(testKey(9), 2n * COIN)]);
    const last = concatBytes(single.inputs[1]?.witness[0] as Bytes, Uint8Array.of(hashType));
    cases.fault(
      'A3',
      `hash type ${hashType} without an output at the same index`,
      type,
      block(withInput(single, 1, { witness: [last] })),
    );
  }
  const bad = script('Invalid Schnorr signature');
  cases.fault('A3', 'a signature with a changed R', bad, signed([flipped(31)]));
  cases.fault('A3', 'a signature with a changed s', bad, signed([flipped(63)]));
  cases.fault('A3', 'DEFAULT signed, ALL claimed', bad, signed([concatBytes(signature, Uint8Array.of(1))]));
  const all = payment(chain, { hashType: 1 }).inputs[0]?.witness[0] as Bytes;
  cases.fault('A3', 'ALL signed, DEFAULT claimed', bad, signed([all.subarray(0, 64)]));
  cases.fault('A3', 'r of the size of the field', bad, signed([concatBytes(bytes(FIELD), signature.subarray(32))]));
  cases.fault('A3', 's of the order of the group', bad, signed([concatBytes(signature.subarray(0, 32), bytes(ORDER))]));
  cases.fault('A3', 'a signature of zeros', bad, signed([new Uint8Array(64)]));
  const nobody = { ...coin(chain, NOBODYS_COIN), key: testKey(1) };
  cases.fault('A3', 'a key that is none is spent', bad, block(spend([nobody], [pay(testKey(9), COIN)])));
  cases.fault(
    'A3',
    'the key of another coin',
    bad,
    block(spend([{ ...coin(chain, 1), key: testKey(2) }], [pay(testKey(9), COIN)])),
  );
  cases.fault('A3', 'an amount that was changed after signing', bad, block(withOutput(tx, 0, { value: COIN - 1n })));
  const order = makeTransaction({ ...half, inputs: half.inputs.toReversed() });
  cases.fault('A3', 'inputs whose order was changed after signing', bad, block(order));
  return cases.list;
}

const FIELD = 'fffffffffffffffffffffffffffffffffffffffffffffffffffffffefffffc2f';
const ORDER = 'fffffffffffffffffffffffffffffffebaaedce6af48a03bbfd25e8cd0364141';
