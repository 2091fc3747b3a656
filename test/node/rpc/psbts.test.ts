/** PSBTs and descriptors over RPC; what Core says to the same calls is in core-comparison.test.ts. */
import { describe, expect, test } from '@jest/globals';
import { base64 } from '@scure/base';
import { Transaction as LibraryTransaction } from '@scure/btc-signer';
import { Psbt as OtherPsbt } from 'bitcoinjs-lib';
import { bytesToHex, hexToBytes } from '#hash';
import { encodeAddress, p2trScript } from '../../../consensus/address.ts';
import { concatBytes } from '../../../consensus/codec.ts';
import { encodeTransaction, type TxOutput } from '../../../consensus/transaction.ts';
import { withChecksum } from '../../../node/rpc/descriptor.ts';
import { MAX_CHECKED_INPUTS } from '../../../node/rpc/psbt.ts';
import { blankPsbt, decodePsbt, encodePsbt, type Psbt, writeOutput } from '../../../node/rpc/psbt-format.ts';
import { outputOf, pay, spend, TestChain, testKey } from '../../support/chain-builder.ts';
import {
  derivedKey,
  derivedSecret,
  edited,
  fingerprint,
  psbtOf,
  psbtVectors,
  signedPsbt,
  tprv,
  tpub,
} from './psbt-calls.ts';
import { RpcNode } from './rpc-node.ts';

const key = testKey(0);
const other = testKey(4);
const ranged = `tr([${fingerprint}/86h/1h/0h]${tpub}/0/*)`;

/** What `tr(tpub/0/5)` holds. */
const derived: TxOutput = { value: 1_000_000n, scriptPubKey: p2trScript(derivedKey(5)) };

/** A node at height 103 whose first coinbases are mature, and a payment that waits in its mempool. */
function startNode() {
  const chain = TestChain.ofHeight(103);
  const node = new RpcNode();
  for (const block of chain.blocks.slice(1)) node.submitBlock(block);
  const coins = [chain.coinbase(1), chain.coinbase(2)] as const;
  const pooled = spend([chain.coinbase(3)], [pay(other, 1_000_000n), derived, pay(key, 4_997_990_000n)]);
  expect(node.call('sendrawtransaction', bytesToHex(encodeTransaction(pooled)))).toBe(pooled.txid);
  return { chain, node, coins, pooled };
}
const { node, coins, pooled } = startNode();
const spent: readonly TxOutput[] = coins;
const paid = pay(other, 9_999_990_000n);
const tx = spend(coins, [paid]);
const blank = encodePsbt(blankPsbt(tx));

function decoded(text: unknown): Psbt {
  const psbt = decodePsbt(text as string);
  if (!psbt.ok) throw new Error(psbt.error);
  return psbt.value;
}

describe('the texts of BIP 174 and BIP 371', () => {
  test('that are valid are read, and nothing is lost when they are written or combined with themselves', () => {
    expect(psbtVectors.valid.length).toBeGreaterThan(15);
    for (const text of psbtVectors.valid) {
      const psbt = decoded(text);
      expect(decoded(encodePsbt(psbt))).toEqual(psbt);
      expect(decoded(node.call('combinepsbt', [text, text]))).toEqual(psbt);
      expect(node.call('decodepsbt', text)).toHaveProperty('tx');
    }
  });

  test('that are not valid are refused with a reason', () => {
    expect(psbtVectors.invalid.length).toBeGreaterThan(40);
    for (const text of psbtVectors.invalid) {
      const { code, message } = node.call('decodepsbt', text) as { code: number; message: string };
      expect(code).toBe(-22);
      expect(message).toMatch(/^TX decode failed .{10}/);
    }
  });
});

describe('a payment by PSBT', () => {
  const address = encodeAddress(other.publicKey, 'bcrt');
  const inputs = coins.map(({ txid, vout }) => ({ txid, vout }));
  const created = node.call('createpsbt', inputs, [{ [address]: '99.99990000' }]) as string;
  const updated = node.call('utxoupdatepsbt', created) as string;

  test('is created, gets its coins, its signatures, is finalized, and accepted', () => {
    expect(node.call('analyzepsbt', created)).toMatchObject({ inputs: [{ has_utxo: false }, {}], next: 'updater' });
    expect(node.call('analyzepsbt', updated)).toMatchObject({ estimated_vsize: 169, fee: 0.0001 });
    expect(node.call('decodepsbt', updated)).toMatchObject({
      fee: 0.0001,
      inputs: [{ witness_utxo: { amount: 50 } }, {}],
    });
    const signed = encodePsbt(signedPsbt(spend(coins, [paid], { sequence: 0xfffffffd }), spent));
    const complete = node.call('combinepsbt', [updated, signed]);
    expect(node.call('analyzepsbt', complete)).toMatchObject({ next: 'finalizer' });
    const { hex, complete: isComplete } = node.call('finalizepsbt', complete) as { hex: string; complete: boolean };
    expect(isComplete).toBe(true);
    expect(node.call('testmempoolaccept', [hex])).toMatchObject([{ allowed: true }]);
  });

  test('is signed by another library with the keys that a descriptor tells it', () => {
    const input = { txid: pooled.txid, vout: 1 };
    const psbt = node.call('createpsbt', [input], { [address]: 0.00999 });
    const known = node.call('utxoupdatepsbt', psbt, [{ desc: ranged, range: [5, 5] }]) as string;
    const library = LibraryTransaction.fromPSBT(base64.decode(known));
    expect(library.sign(derivedSecret(5))).toBe(1);
    const { hex } = node.call('finalizepsbt', base64.encode(library.toPSBT())) as { hex: string };
    expect(node.call('testmempoolaccept', [hex])).toMatchObject([{ allowed: true, fees: { base: 0.00001 } }]);
  });

  test('whose signatures come one by one is complete with the last of them', () => {
    const signed = signedPsbt(tx, spent);
    const halves = [0, 1].map((half) => {
      return encodePsbt({
        ...signed,
        inputs: signed.inputs.map((input, i) =>
          i === half ? input : { witnessUtxo: writeOutput(spent[i] as TxOutput) },
        ),
      });
    });
    expect(node.call('finalizepsbt', halves[0])).toMatchObject({ complete: false });
    const whole = node.call('combinepsbt', halves);
    expect(node.call('finalizepsbt', whole)).toEqual({ hex: bytesToHex(encodeTransaction(tx)), complete: true });
    const { psbt, complete } = node.call('finalizepsbt', whole, false) as { psbt: string; complete: boolean };
    expect(complete).toBe(true);
    expect(decoded(psbt).inputs[0]).not.toHaveProperty('tapKeySig');
    // One that is final already is taken again.
    expect(node.call('finalizepsbt', psbt)).toEqual({ hex: bytesToHex(encodeTransaction(tx)), complete: true });
    expect(node.call('analyzepsbt', psbt)).toMatchObject({ next: 'extractor', inputs: [{ is_final: true }, {}] });
  });

  test('is read by two other libraries as it was written', () => {
    for (const text of [created, updated, encodePsbt(signedPsbt(tx, spent))]) {
      const { tx: ours } = decoded(text);
      expect(LibraryTransaction.fromPSBT(base64.decode(text)).id).toBe(ours.txid);
      expect(OtherPsbt.fromBase64(text).txInputs.map(({ index }) => index)).toEqual(
        ours.inputs.map(({ prevout }) => prevout.vout),
      );
    }
  });

  test('with a hash type in its signatures is finalized; one whose signature is of another transaction is not', () => {
    const single = spend(coins, [paid, pay(key, 1n)], { hashType: [0x81, 0x03] });
    expect(node.call('finalizepsbt', encodePsbt(signedPsbt(single, spent)))).toMatchObject({ complete: true });
    const cut = psbtOf(tx, (_, i) => signedPsbt(single, spent).inputs[i] ?? {});
    expect(node.call('finalizepsbt', encodePsbt(cut))).toMatchObject({ complete: false });
    const foreign = spend(coins, [pay(other, 9_999_990_001n)]);
    const stolen = psbtOf(tx, (_, i) => signedPsbt(foreign, spent).inputs[i] ?? {});
    expect(node.call('finalizepsbt', encodePsbt(stolen))).toMatchObject({ complete: false });
    // A signature of 65 bytes that says DEFAULT is none (BIP 341).
    const long = psbtOf(tx, (_, i) => {
      const input = signedPsbt(tx, spent).inputs[i] ?? {};
      return { ...input, tapKeySig: concatBytes(input.tapKeySig ?? new Uint8Array(0), Uint8Array.of(0)) };
    });
    expect(node.call('finalizepsbt', encodePsbt(long))).toMatchObject({ complete: false });
  });

  test('of an unconfirmed coin finds it in the mempool; of an unknown one it says so', () => {
    const child = spend([outputOf(pooled, 0, other)], [pay(key, 999_000n)]);
    const found = node.call('utxoupdatepsbt', encodePsbt(blankPsbt(child)));
    expect(node.call('analyzepsbt', found)).toMatchObject({ inputs: [{ has_utxo: true }], fee: 0.00001 });
    const unknown = spend([{ ...coins[0], txid: 'ab'.repeat(32) as (typeof coins)[0]['txid'] }], [pay(key, 1n)]);
    const missing = node.call('utxoupdatepsbt', encodePsbt(blankPsbt(unknown)));
    expect(node.call('analyzepsbt', missing)).toEqual({
      inputs: [{ has_utxo: false, is_final: false, next: 'updater' }],
      next: 'updater',
    });
    expect(node.call('finalizepsbt', missing)).toMatchObject({ complete: false });
  });
});

describe('fields that are not for us', () => {
  const unknown = psbtOf(tx, () => ({
    porCommitment: hexToBytes('aabb'),
    partialSig: [[hexToBytes(`02${bytesToHex(other.publicKey)}`), new Uint8Array(70).fill(3)]],
    proprietary: [[hexToBytes('0374657300aabb'), hexToBytes('cc')]],
    unknown: [[{ type: 0x4242, key: hexToBytes('0102') }, hexToBytes('dead')]],
  }));

  test('survive an update, a combination and a finalization', () => {
    const text = encodePsbt({
      ...unknown,
      global: { unknown: [[{ type: 0x77, key: new Uint8Array(0) }, hexToBytes('beef')]] },
    });
    const signed = encodePsbt(signedPsbt(tx, spent));
    const combined = node.call('combinepsbt', [signed, node.call('utxoupdatepsbt', text)]);
    expect(decoded(combined).inputs[0]).toMatchObject(unknown.inputs[0] as object);
    const { psbt } = node.call('finalizepsbt', combined, false) as { psbt: string };
    const { proprietary, unknown: rest } = unknown.inputs[0] ?? {};
    expect(decoded(psbt).inputs[1]).toMatchObject({ proprietary, unknown: rest });
    expect(node.call('decodepsbt', psbt)).toMatchObject({
      unknown: { 77: 'beef' },
      inputs: [
        {
          unknown: { fd42420102: 'dead' },
          proprietary: [{ identifier: '746573', subtype: 0, key: 'fc0374657300aabb' }],
        },
        {},
      ],
    });
  });

  test('with the same key and another value leave the first one standing', () => {
    const changedTo = (value: string) =>
      encodePsbt(psbtOf(tx, () => ({ unknown: [[{ type: 0x42, key: hexToBytes('01') }, hexToBytes(value)]] })));
    const shown = node.call('decodepsbt', node.call('combinepsbt', [changedTo('aa'), changedTo('bb')]));
    expect(shown).toMatchObject({ inputs: [{ unknown: { 4201: 'aa' } }, {}] });
  });
});

describe('bad input', () => {
  const refusal = (method: string, ...params: readonly unknown[]) => node.call(method, ...params);

  test('a key that is given twice is named as such', () => {
    // A blank PSBT ends with its empty maps, those of two inputs and an output.
    const twice = edited(blank, (hex) => `${hex.slice(0, -6)}014201aa014201bb000000`);
    expect(refusal('decodepsbt', twice)).toEqual({
      code: -22,
      message: 'TX decode failed Duplicate Key, a field is given twice: iostream error',
    });
  });

  test('what would take long to read, or to make, is refused, and told in few words', () => {
    const tooMany = 'a PSBT has at most 10000 maps and fields, inputs and outputs';
    const empty = edited(blank, (hex) => `${hex}${'00'.repeat(200_000)}`);
    expect(refusal('decodepsbt', empty)).toEqual({ code: -22, message: `TX decode failed ${tooMany}` });
    const odd = edited(blank, (hex) => `${hex}${'00'.repeat(5000)}`) as string;
    const { message } = refusal('decodepsbt', odd) as { readonly message: string };
    expect(message.length).toBeLessThan(300);
    const withFields = (count: number) => {
      const fields = Array.from({ length: count }, (_, i) => `0399${i.toString(16).padStart(4, '0')}00`).join('');
      return edited(blank, (hex) => `${hex.slice(0, -6)}${fields}000000`) as string;
    };
    expect(refusal('decodepsbt', withFields(1001))).toEqual({
      code: -22,
      message: 'TX decode failed a map of a PSBT has at most 1000 fields',
    });
    expect(refusal('combinepsbt', Array(30).fill(withFields(700)))).toEqual({
      code: -22,
      message: 'TX decode failed together the PSBTs have more than 20000 maps and fields',
    });
    const inputs = Array.from({ length: 10_001 }, (_, vout) => ({ txid: '11'.repeat(32), vout }));
    expect(refusal('createpsbt', inputs, [])).toEqual({ code: -8, message: tooMany });
    const large = refusal('createrawtransaction', inputs, []) as string;
    expect(refusal('converttopsbt', large)).toEqual({ code: -8, message: tooMany });
    expect(refusal('createrawtransaction', [...inputs, ...inputs, ...inputs], [])).toMatchObject({ code: -8 });
  });

  test('damaged PSBTs are answered, never thrown at', () => {
    let state = 1;
    const below = (limit: number) => {
      state = (Math.imul(state, 1_103_515_245) + 12_345) >>> 0;
      return Math.floor((state / 2 ** 32) * limit);
    };
    const texts = [...psbtVectors.valid, encodePsbt(signedPsbt(tx, spent))];
    const answers = new Set<boolean>();
    for (let i = 0; i < 80; i++) {
      const bytes = base64.decode(texts[below(texts.length)] as string);
      const at = 5 + below(bytes.length - 5);
      bytes[at] = below(256);
      const damaged = base64.encode(i % 3 === 0 ? concatBytes(bytes.subarray(0, at), bytes.subarray(at + 1)) : bytes);
      for (const method of ['decodepsbt', 'analyzepsbt', 'finalizepsbt', 'utxoupdatepsbt']) {
        const answer = refusal(method, damaged);
        answers.add(typeof answer === 'object' && answer !== null && 'code' in answer);
      }
    }
    expect(answers).toEqual(new Set([true, false]));
  });

  test('extended keys of another network are refused where the chain is asked', () => {
    const xpub = { version: 0x0488b21e, depth: 0, parentFingerprint: 0, childNumber: 0, chainCode: new Uint8Array(32) };
    const publicKey = hexToBytes(`02${bytesToHex(key.publicKey)}`);
    const foreign = encodePsbt({
      ...blankPsbt(tx),
      global: {
        xpub: [
          [
            { ...xpub, publicKey },
            { fingerprint: 0, path: [] },
          ],
        ],
      },
    });
    const message = 'The PSBT is of another network than regtest: so are its extended public keys';
    expect(refusal('utxoupdatepsbt', foreign)).toEqual({ code: -8, message });
  });

  test('more signatures than can be checked at once are refused', () => {
    const many = {
      ...tx,
      inputs: Array.from({ length: MAX_CHECKED_INPUTS + 1 }, (_, vout) => ({
        ...(tx.inputs[0] as (typeof tx.inputs)[0]),
        prevout: { txid: tx.txid, vout },
      })),
    };
    for (const method of ['finalizepsbt', 'analyzepsbt']) {
      expect(refusal(method, encodePsbt(blankPsbt(many)))).toMatchObject({ code: -8 });
    }
  });

  test('a data output that the chain would refuse is not made', () => {
    const message = 'Data of an output has at most 80 bytes on this chain (not 81)';
    expect(refusal('createrawtransaction', [], [{ data: '00'.repeat(81) }])).toEqual({ code: -8, message });
  });

  test('private keys in descriptors are refused and not repeated', () => {
    const wif = 'cVt4o7BGAig1UXywgGSmARhxMdzP5qvQsxKkSsc1XEkw3tDTQFpy';
    for (const secret of [tprv, wif]) {
      for (const descriptor of [`tr(${secret})`, `tr([d34db33f]${secret}/0/*)`, `wpkh(${secret})`, `what(${secret})`]) {
        const { code, message } = refusal('getdescriptorinfo', descriptor) as { code: number; message: string };
        expect(code).toBe(-5);
        expect(message).not.toContain(secret.slice(4));
      }
    }
  });

  test('descriptors of outputs that do not exist here are named', () => {
    const message = expect.stringContaining('wpkh() describes outputs that this chain does not have');
    expect(refusal('getdescriptorinfo', `wpkh(${tpub})`)).toMatchObject({ code: -5, message });
    expect(
      refusal('getdescriptorinfo', `tr(${bytesToHex(key.publicKey)},pk(${bytesToHex(key.publicKey)}))`),
    ).toMatchObject({ code: -5 });
    expect(refusal('getdescriptorinfo', 'x'.repeat(3000))).toMatchObject({ code: -5 });
  });

  test('an extended key of another network is refused', () => {
    const xpub =
      'xpub6DJ2dNUysrn5Vt36jH2KLBT2i1auw1tTSSomg8PhqNiUtx8QX2SvC9nrHu81fT41fvDUnhMjEzQgXnQjKEu3oaqMSzhSrHMxyyoEAmUHQbY';
    expect(refusal('getdescriptorinfo', `tr(${xpub}/0/*)`)).toMatchObject({
      code: -5,
      message: expect.stringContaining('another network than regtest'),
    });
  });

  test('more scripts than can be derived at once are refused', () => {
    expect(refusal('deriveaddresses', withChecksum(ranged), 5000)).toMatchObject({
      code: -8,
      message: expect.stringContaining('At most'),
    });
    expect(refusal('scantxoutset', 'start', [ranged, ranged])).toMatchObject({
      code: -8,
      message: expect.stringContaining('At most'),
    });
  });
});

describe('joinpsbts', () => {
  test('puts all inputs and outputs in one, without signatures', () => {
    const one = signedPsbt(spend([coins[0]], [pay(other, 5n)]), [coins[0]]);
    const two = signedPsbt(spend([coins[1]], [pay(key, 7n)], { lockTime: 3 }), [coins[1]]);
    const joined = decoded(node.call('joinpsbts', [encodePsbt(one), encodePsbt(two)]));
    expect(joined.tx.inputs.map(({ prevout }) => prevout.txid).sort()).toEqual(coins.map(({ txid }) => txid).sort());
    expect(joined.tx.outputs.map(({ value }) => value).sort()).toEqual([5n, 7n]);
    for (const [i, input] of joined.inputs.entries()) {
      expect(input).toHaveProperty('witnessUtxo');
      expect(input).not.toHaveProperty('tapKeySig');
      const coin = coins.find(({ txid }) => txid === joined.tx.inputs[i]?.prevout.txid);
      expect(input.witnessUtxo?.script).toEqual(coin?.scriptPubKey);
    }
    expect(joined.tx.lockTime).toBe(0);
  });
});

describe('descriptors', () => {
  test('give signers the keys of inputs and outputs', () => {
    const script = p2trScript(derivedKey(5));
    const psbt = encodePsbt(blankPsbt(spend([coins[0]], [{ value: 5n, scriptPubKey: script }])));
    const updated = node.call('utxoupdatepsbt', psbt, [{ desc: ranged, range: [4, 6] }]);
    expect(node.call('decodepsbt', updated)).toMatchObject({
      outputs: [
        { taproot_bip32_derivs: [{ master_fingerprint: fingerprint, path: 'm/86h/1h/0h/0/5', leaf_hashes: [] }] },
      ],
    });
  });

  test('find coins by the index of scripts', () => {
    const found = node.call('scantxoutset', 'start', [
      `raw(${bytesToHex(key.script)})`,
      `raw(${bytesToHex(key.script)})`,
    ]);
    const { unspents, total_amount, txouts } = found as { unspents: object[]; total_amount: number; txouts: number };
    expect(unspents).toHaveLength(103);
    expect(txouts).toBe(103);
    expect(total_amount).toBe(103 * 50);
    expect(unspents).toContainEqual(
      expect.objectContaining({ txid: coins[0].txid, height: 1, confirmations: 103, coinbase: true }),
    );
    expect(node.call('scantxoutset', 'start', [{ desc: ranged, range: 2 }])).toMatchObject({
      unspents: [],
      total_amount: 0,
    });
  });

  test('derive the addresses that BIP 86 gives', () => {
    expect(node.call('deriveaddresses', withChecksum(ranged), [5, 5])).toEqual([encodeAddress(derivedKey(5), 'bcrt')]);
  });
});
