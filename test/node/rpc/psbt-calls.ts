/** Calls about PSBTs, raw transactions and descriptors that core-comparison.test.ts makes here and in Bitcoin Core. */
import { readFileSync } from 'node:fs';
import { base64 } from '@scure/base';
import { HDKey } from '@scure/bip32';
import { bytesToHex, hexToBytes } from '#hash';
import { encodeAddress, p2trScript } from '../../../consensus/address.ts';
import { regtest } from '../../../consensus/params.ts';
import { tweakPublicKey } from '../../../consensus/signature.ts';
import { encodeTransaction, type Transaction, type TxOutput } from '../../../consensus/transaction.ts';
import { withChecksum } from '../../../node/rpc/descriptor.ts';
import {
  blankPsbt,
  encodePsbt,
  type Psbt,
  type PsbtInput,
  withPreviousTransaction,
  writeOutput,
} from '../../../node/rpc/psbt-format.ts';
import { changed, pay, type Spendable, spend, testKey } from '../../support/chain-builder.ts';

export type Call = readonly [method: string, params: unknown, ignored?: readonly string[]];

/** The texts of BIP 174 and BIP 371 that are PSBTs, and those that only look like it. */
export const psbtVectors = JSON.parse(readFileSync(new URL('../../vectors/bip174.json', import.meta.url), 'utf8')) as {
  readonly valid: readonly string[];
  readonly invalid: readonly string[];
};

const root = HDKey.fromMasterSeed(new Uint8Array(32).fill(7), regtest.bip32);
export const tpub = root.derive("m/86'/1'/0'").publicExtendedKey;
export const tprv = root.derive("m/86'/1'/0'").privateExtendedKey;
export const fingerprint = root.fingerprint.toString(16).padStart(8, '0');
/** The secret of the key in `tr(tpub/0/INDEX)`, without BIP 341's tweak. */
export function derivedSecret(index: number): Uint8Array {
  return root.derive(`m/86'/1'/0'/0/${index}`).privateKey as Uint8Array;
}
/** The output key of `tr(tpub/0/INDEX)`. */
export function derivedKey(index: number): Uint8Array {
  const internal = root.derive(`m/86'/1'/0'/0/${index}`).publicKey as Uint8Array;
  const output = tweakPublicKey(internal.slice(1));
  if (!output.ok) throw new Error(output.error);
  return output.value;
}

/** What `change` makes of each input of the PSBT of a transaction. */
export function psbtOf(tx: Transaction, change: (input: PsbtInput, index: number) => PsbtInput): Psbt {
  const blank = blankPsbt(tx);
  return { ...blank, inputs: blank.inputs.map(change) };
}

/** Every input knows its coin and has its signature. */
export function signedPsbt(tx: Transaction, spent: readonly TxOutput[]): Psbt {
  return psbtOf(tx, (_, index) => ({
    witnessUtxo: writeOutput(spent[index] as TxOutput),
    tapKeySig: tx.inputs[index]?.witness[0] as Uint8Array,
  }));
}

/** Of a PSBT's text, the bytes with `change` made to their hex. */
export function edited(psbt: string, change: (hex: string) => string): string {
  return base64.encode(hexToBytes(change(bytesToHex(base64.decode(psbt)))));
}

/** Core estimates the size of transactions that lack signatures, but not of those that have them. */
const ESTIMATES = ['estimated_vsize', 'estimated_feerate'];

/** `coins` are two unspent coins of the chain, `previous` the transaction of the second one. */
export function psbtCalls(coins: readonly [Spendable, Spendable], previous: Transaction): readonly Call[] {
  const [first, second] = coins;
  const to = testKey(21);
  const address = encodeAddress(to.publicKey, 'bcrt');
  const derived = encodeAddress(derivedKey(5), 'bcrt');
  const value = first.value + second.value;
  const tx = spend([first, second], [pay(to, value - 2000n)], { sequence: 0xfffffffd });
  const typed = spend([first, second], [pay(to, value - 2000n)], { hashType: [0x83, 0x01] });
  const hex = bytesToHex(encodeTransaction(tx));
  const unsigned = bytesToHex(encodeTransaction(tx, { witness: false }));
  const unsignedInputs = tx.inputs.map((one) => ({ ...one, witness: [] }));
  const negative = changed(tx, { inputs: unsignedInputs, outputs: [pay(to, -1n)], version: 0xffffffff });
  const blank = encodePsbt(blankPsbt(tx));
  const spent = [first, second];
  const signed = signedPsbt(tx, spent);
  const halves = [0, 1].map((half) =>
    encodePsbt(
      psbtOf(tx, (_, i) =>
        i === half ? (signed.inputs[i] as PsbtInput) : { witnessUtxo: writeOutput(spent[i] as TxOutput) },
      ),
    ),
  );
  const forged = encodePsbt(psbtOf(tx, (_, i) => ({ ...signed.inputs[i], tapKeySig: new Uint8Array(64).fill(1) })));
  const full = encodePsbt(psbtOf(tx, (input, i) => (i === 1 ? withPreviousTransaction(input, previous) : input)));
  const final = encodePsbt(
    psbtOf(tx, (_, i) => ({
      witnessUtxo: writeOutput(spent[i] as TxOutput),
      finalScriptWitness: [tx.inputs[i]?.witness[0] as Uint8Array],
    })),
  );
  const other = encodePsbt(blankPsbt(spend([first], [pay(to, 5n)])));
  const third = encodePsbt(blankPsbt(spend([second], [pay(to, 5n)])));
  const rich = encodePsbt(
    psbtOf(tx, (_, i) => ({ witnessUtxo: { amount: 21n * 10n ** 15n, script: (spent[i] as TxOutput).scriptPubKey } })),
  );
  const burnt = encodePsbt(psbtOf(tx, () => ({ witnessUtxo: { amount: 1n, script: hexToBytes('6a0101') } })));
  const withUnknown = encodePsbt({
    ...psbtOf(tx, (input) => ({
      ...input,
      sighashType: 0x81,
      tapInternalKey: to.publicKey,
      tapMerkleRoot: new Uint8Array(32).fill(9),
      tapBip32Derivation: [
        [
          to.publicKey,
          { hashes: [new Uint8Array(32).fill(3)], der: { fingerprint: 0xd34db33f, path: [0x80000056, 0, 7] } },
        ],
      ],
      proprietary: [[hexToBytes('0374657300aabb'), hexToBytes('cc')]],
      unknown: [[{ type: 0x42, key: hexToBytes('0102') }, hexToBytes('dead')]],
    })),
    global: { unknown: [[{ type: 0x77, key: new Uint8Array(0) }, hexToBytes('beef')]] },
  });
  const input = { txid: tx.inputs[0]?.prevout.txid, vout: tx.inputs[0]?.prevout.vout };
  const pays = { [address]: 0.5 };
  const trKey = `tr(${bytesToHex(to.publicKey)})`;
  const ranged = `tr([${fingerprint}/86'/1'/0']${tpub}/0/*)`;
  const raw = `raw(${bytesToHex(first.scriptPubKey)})`;
  const rawtr = `rawtr(${bytesToHex(second.scriptPubKey.subarray(2))})`;

  const creations = (method: string): readonly Call[] => [
    [method, [[input], [pays]]],
    [method, [[input], pays]],
    [method, [[], []]],
    [method, [[], {}]],
    [method, [[input], [pays, { data: '00010203' }], 500]],
    [method, [[input], [pays], 500, false]],
    [method, [[input], [pays], 0, false]],
    [method, [[input], [pays], 0, true]],
    [method, { inputs: [input], outputs: [pays], replaceable: false, locktime: 7 }],
    [method, [[{ ...input, sequence: 5 }], [pays], 0, false]],
    [method, [[{ ...input, sequence: 0xffffffff }], [pays], 0, true]],
    [method, [[{ ...input, sequence: 0x100000000 }], [pays]]],
    [method, [[{ ...input, sequence: -1 }], [pays]]],
    [method, [[{ ...input, sequence: 'x' }], [pays]]],
    [method, [[{ txid: input.txid }], [pays]]],
    [method, [[{ ...input, vout: '0' }], [pays]]],
    [method, [[{ ...input, vout: -1 }], [pays]]],
    [method, [[{ ...input, vout: 1.5 }], [pays]]],
    [method, [[{ vout: 0 }], [pays]]],
    [method, [[{ txid: 'foo', vout: 0 }], [pays]]],
    [method, [[{ txid: 'zz'.repeat(32), vout: 0 }], [pays]]],
    [method, [['x'], [pays]]],
    [method, ['x', [pays]]],
    [method, [[input], 'x']],
    [method, [[input], null]],
    [method, [[input]]],
    [method, [[input], ['x']]],
    [method, [[input], [{}]]],
    [method, [[input], [{ ...pays, data: '00' }]]],
    [method, [[input], [pays, pays]]],
    [method, [[input], [{ data: '00' }, { data: '01' }]]],
    [method, [[input], [{ data: 'xyz' }]]],
    [method, [[input], [{ data: '' }]]],
    [method, [[input], [{ nobody: 1 }]]],
    [method, [[input], [{ [address]: 'x' }]]],
    [method, [[input], [{ [address]: -1 }]]],
    [method, [[input], [{ [address]: '0.00000001' }]]],
    [method, [[input], [{ nobody: -1 }]]],
    [method, [[input], [pays], -1]],
    [method, [[input], [pays], 4294967296]],
    [method, [[input], [pays], 'x']],
    [method, [[input], [pays], 0, 'x']],
    [method, [[input], [pays], 0, false, 1]],
  ];

  return [
    ...creations('createrawtransaction'),
    ...creations('createpsbt'),
    ['converttopsbt', [unsigned]],
    ['converttopsbt', [unsigned, false, false]],
    ['converttopsbt', [unsigned, false, true]],
    ['converttopsbt', [hex]],
    ['converttopsbt', [hex, true]],
    ['converttopsbt', [hex, true, false]],
    ['converttopsbt', [bytesToHex(encodeTransaction(negative))]],
    ['decodepsbt', [encodePsbt(blankPsbt(negative))]],
    ['analyzepsbt', [encodePsbt(blankPsbt(negative))]],
    ['converttopsbt', ['00']],
    ['converttopsbt', ['02000000000000000000']],
    ...['decodepsbt', 'analyzepsbt', 'finalizepsbt', 'utxoupdatepsbt'].flatMap((method): readonly Call[] => [
      [method, [blank]],
      [method, [encodePsbt(signed)], ESTIMATES],
      [method, [encodePsbt(signedPsbt(typed, spent))], ESTIMATES],
      [method, [halves[0]], ESTIMATES],
      [method, [forged]],
      [method, [full]],
      [method, [final], ESTIMATES],
      [method, [rich]],
      [method, [burnt]],
      [method, [withUnknown]],
      [method, [encodePsbt(blankPsbt({ version: 2, inputs: [], outputs: [pay(to, 1n)], lockTime: 0 }))]],
      [method, [encodePsbt(blankPsbt({ version: 2, inputs: [], outputs: [], lockTime: 0 }))]],
      [method, ['']],
      [method, ['not base64!']],
      [method, [hex]],
      [method, [blank.slice(0, -4)], ['message']],
      [method, [`${blank.slice(0, -4)}AAAA`]],
      [method, [edited(blank, (bytes) => `${bytes}00`)]],
      [method, [5]],
      [method, []],
    ]),
    ['finalizepsbt', [encodePsbt(signed), false]],
    ['finalizepsbt', { psbt: final, extract: false }],
    ['combinepsbt', [halves]],
    ['combinepsbt', [[...halves].reverse()]],
    ['combinepsbt', [[withUnknown, blank, halves[0]]]],
    ['combinepsbt', [[full, blank]]],
    ['combinepsbt', [[blank]]],
    ['combinepsbt', [[blank, other]]],
    ['combinepsbt', [[blank, 'x']]],
    ['combinepsbt', [[]]],
    ['combinepsbt', [[5]]],
    ['combinepsbt', ['x']],
    ['joinpsbts', [[blank]]],
    ['joinpsbts', [[blank, encodePsbt(blankPsbt(spend([first], [pay(to, 5n)], { sequence: 0xfffffffd })))]]],
    ['joinpsbts', [[blank, 'x']]],
    ['joinpsbts', [[]]],
    ['analyzepsbt', [third]],
    ['utxoupdatepsbt', [blank, [withChecksum(raw)]]],
    ['utxoupdatepsbt', [blank, [trKey, { desc: ranged, range: [3, 6] }]]],
    [
      'utxoupdatepsbt',
      [
        encodePsbt(blankPsbt(spend([first], [{ value: 5n, scriptPubKey: p2trScript(derivedKey(5)) }]))),
        [{ desc: ranged, range: [3, 6] }],
      ],
    ],
    [
      'utxoupdatepsbt',
      [
        encodePsbt(blankPsbt(spend([first], [{ value: 5n, scriptPubKey: p2trScript(derivedKey(5)) }]))),
        [{ desc: `tr(${tpub}/0/*)`, range: 5 }],
      ],
    ],
    ['utxoupdatepsbt', [blank, ['x']]],
    ['utxoupdatepsbt', [blank, [5]]],
    ['utxoupdatepsbt', [blank, [{}]]],
    ['utxoupdatepsbt', [blank, [{ desc: ranged, range: [6, 3] }]]],
    ['utxoupdatepsbt', [blank, 'x']],
    ...psbtVectors.valid.map((psbt): Call => ['decodepsbt', [psbt], ['address', 'desc', 'asm', 'type']]),
    ...psbtVectors.invalid.map((psbt): Call => ['decodepsbt', [psbt], ['message']]),

    ['decodescript', [bytesToHex(first.scriptPubKey)]],
    ['decodescript', ['6a0548656c6c6f']],
    ['decodescript', ['51024e73'], ['address', 'desc']],
    ['decodescript', [''], ['p2sh', 'segwit']],
    ['decodescript', ['x']],
    ['decodescript', [5]],
    ...[
      trKey,
      withChecksum(trKey),
      `${trKey}#`,
      `${trKey}#qqqqqqqq`,
      `${trKey}##`,
      `${trKey} `,
      `tr(02${bytesToHex(to.publicKey)})`,
      `tr([d34db33f/86h/1'/0h]${bytesToHex(to.publicKey)})`,
      `tr([D34DB33F]${tpub}/0/*)`,
      ranged,
      `tr(${tpub})`,
      `tr(${tpub}/0/1)`,
      `tr(${tpub}/0h/*)`,
      `tr(${tpub}/0/*')`,
      `tr(${tpub}/0/*h)`,
      `tr(${tpub}/-1)`,
      `tr(${tpub}/4294967296)`,
      `tr(${tpub}/2147483648)`,
      `tr(${tpub}/)`,
      `tr(${tpub}x)`,
      'tr()',
      'tr([d34db33f])',
      'tr([d34db3]00)',
      'tr([d34db33g]00)',
      'tr(d34db33f]00)',
      'tr(]00)',
      'tr([d34db33f]00]00)',
      'tr(00)',
      `tr(${'ff'.repeat(32)})`,
      raw,
      rawtr,
      'raw()',
      'raw(x)',
      `addr(${address})`,
      `addr(${address.toUpperCase()})`,
      'addr(x)',
      'x',
      '',
      'tr',
      'foo(bar)',
      'ä',
    ].map((descriptor): Call => ['getdescriptorinfo', [descriptor]]),
    ['deriveaddresses', [withChecksum(trKey)]],
    ['deriveaddresses', [trKey]],
    ['deriveaddresses', [withChecksum(ranged), 2]],
    ['deriveaddresses', [withChecksum(ranged), [3, 5]]],
    ['deriveaddresses', { descriptor: withChecksum(ranged), range: [5, 5] }],
    ['deriveaddresses', [withChecksum(`tr(${tpub}/0/5)`)]],
    ['deriveaddresses', [withChecksum(ranged)]],
    ['deriveaddresses', [withChecksum(trKey), 2]],
    ['deriveaddresses', [withChecksum(ranged), [5, 3]]],
    ['deriveaddresses', [withChecksum(ranged), -1]],
    ['deriveaddresses', [withChecksum(ranged), [-1, 3]]],
    ['deriveaddresses', [withChecksum(ranged), 2147483648]],
    ['deriveaddresses', [withChecksum(ranged), 1000001]],
    ['deriveaddresses', [withChecksum(ranged), 'x']],
    ['deriveaddresses', [withChecksum(ranged), [1]]],
    ['deriveaddresses', [withChecksum(ranged), 1.5]],
    ['deriveaddresses', [withChecksum(`tr(${tpub}/0h/1)`)]],
    ['deriveaddresses', [withChecksum(`tr(${tpub}/0/*h)`), 1]],
    ['deriveaddresses', [withChecksum(raw)]],
    ['deriveaddresses', [withChecksum('raw(00)')]],
    ['deriveaddresses', [withChecksum(`addr(${derived})`)]],
    ['deriveaddresses', [withChecksum(rawtr)]],
    ['scantxoutset', ['start', [raw, rawtr, `addr(${address})`]], ['txouts']],
    ['scantxoutset', ['start', [raw, raw, { desc: trKey }]], ['txouts']],
    ['scantxoutset', ['start', [{ desc: ranged, range: 3 }]], ['txouts']],
    ['scantxoutset', ['start', []], ['txouts']],
    ['scantxoutset', ['start', ['x']]],
    ['scantxoutset', ['start', [5]]],
    ['scantxoutset', ['start', [{ range: 5 }]]],
    ['scantxoutset', ['start']],
    ['scantxoutset', ['status']],
    ['scantxoutset', ['abort']],
    ['scantxoutset', ['stop']],
    ['scantxoutset', [5]],
    ['scantxoutset', []],
  ];
}
