/** Methods that make transactions without signatures, and PSBTs of them, for signers elsewhere. */
import { bytesToHex } from '#hash';
import { outPointKey } from '../../consensus/brand.ts';
import type { ChainParams } from '../../consensus/params.ts';
import { encodeTransaction, type Transaction } from '../../consensus/transaction.ts';
import { error, type RpcAnswer, RpcCode, type RpcError, result } from './answer.ts';
import type { RpcContext } from './context.ts';
import { createTransaction, transactionParams } from './create-transaction.ts';
import { decodeHexTransaction } from './decode-hex.ts';
import type { ExpandedScript } from './descriptor.ts';
import { readScanObjects, scanObjects } from './descriptors.ts';
import { method, type RpcMethod } from './method.ts';
import { bool, defaulted, optional, text, texts } from './params.ts';
import { analyzePsbt, type CoinSource, finalizePsbt, joinPsbts, updatePsbt } from './psbt.ts';
import {
  blankPsbt,
  decodePsbt,
  decodePsbts,
  encodePsbt,
  fitsPsbt,
  mergePsbts,
  type Psbt,
  TOO_MANY_PARTS,
} from './psbt-format.ts';
import { psbtJson } from './psbt-json.ts';
import { findAnywhere } from './transactions.ts';

const psbtParam = () => text('The PSBT, base64');
/** PSBTs that one call takes. */
const MAX_PSBTS = 100;

/** Calls `use` with the PSBT of a text, or is the error. */
function withPsbt(base64: string, use: (psbt: Psbt) => RpcAnswer): RpcAnswer {
  const psbt = decodePsbt(base64);
  return psbt.ok ? use(psbt.value) : undecodable(psbt.error);
}

function withPsbts(texts: readonly string[], use: (psbts: readonly Psbt[]) => RpcAnswer): RpcAnswer {
  if (texts.length > MAX_PSBTS) return error(RpcCode.parameter, `At most ${MAX_PSBTS} PSBTs can be given`);
  const psbts = decodePsbts(texts);
  return psbts.ok ? use(psbts.value) : undecodable(psbts.error);
}

function newPsbt(tx: Transaction): RpcAnswer {
  return fitsPsbt(tx) ? result(encodePsbt(blankPsbt(tx))) : error(RpcCode.parameter, TOO_MANY_PARTS);
}

function undecodable(reason: string): RpcError {
  return error(RpcCode.deserialization, `TX decode failed ${reason}`);
}

/** A PSBT does not name its network, but the extended keys in it do. */
function foreignKey({ global }: Psbt, params: ChainParams): RpcError | undefined {
  const foreign = global.xpub?.find(([{ version }]) => version !== params.bip32.public);
  if (foreign === undefined) return undefined;
  const message = `The PSBT is of another network than ${params.name}: so are its extended public keys`;
  return error(RpcCode.parameter, message);
}

function coinSource(context: RpcContext): CoinSource {
  const { chain } = context;
  return {
    transaction: ({ txid }) => findAnywhere(context, txid)?.tx,
    coin: ({ txid, vout }) => chain.coin(outPointKey(txid, vout)),
  };
}

export const psbtMethods: readonly RpcMethod[] = [
  method({
    name: 'createrawtransaction',
    category: 'rawtransactions',
    description: 'Makes a transaction that spends and pays what is listed. It has no signatures and is not sent.',
    params: transactionParams,
    result: '"hex"    (string)',
    example: '\'[{"txid":"myid","vout":0}]\' \'[{"address":0.01}]\'',
    run: ({ params }, request) => {
      const tx = createTransaction(request, params);
      return tx.ok ? result(bytesToHex(encodeTransaction(tx.value))) : tx.error;
    },
  }),

  method({
    name: 'createpsbt',
    category: 'rawtransactions',
    description: 'Makes a PSBT of a transaction that spends and pays what is listed.',
    params: transactionParams,
    result: '"psbt"    (string, base64)',
    example: '\'[{"txid":"myid","vout":0}]\' \'[{"data":"00010203"}]\'',
    run: ({ params }, request) => {
      const tx = createTransaction(request, params);
      return tx.ok ? newPsbt(tx.value) : tx.error;
    },
  }),

  method({
    name: 'converttopsbt',
    category: 'rawtransactions',
    description: 'Makes a PSBT of a serialized transaction.',
    params: {
      hexstring: text('The serialized transaction, hex'),
      permitsigdata: defaulted(bool('Leave out signatures that it has; else it must have none'), false),
      iswitness: optional(bool('Whether it has witnesses; both are tried if this is not given')),
    },
    result: '"psbt"    (string, base64)',
    example: '"hexstring"',
    run: (_, { hexstring, permitsigdata, iswitness }) => {
      const serialization = iswitness === undefined ? 'either' : iswitness ? 'witness' : 'legacy';
      const tx = decodeHexTransaction(hexstring, serialization);
      if (tx === undefined) return error(RpcCode.deserialization, 'TX decode failed');
      if (!permitsigdata && tx.inputs.some(({ scriptSig, witness }) => scriptSig.length + witness.length > 0)) {
        return error(RpcCode.deserialization, 'Inputs must not have scriptSigs and scriptWitnesses');
      }
      return newPsbt(tx);
    },
  }),

  method({
    name: 'decodepsbt',
    category: 'rawtransactions',
    description: 'A PSBT as an object.',
    params: { psbt: psbtParam() },
    result: '{ "tx", "global_xpubs", "psbt_version", "inputs", "outputs", "fee", ... }    (object)',
    example: '"psbt"',
    run: ({ params }, { psbt }) => withPsbt(psbt, (decoded) => result(psbtJson(decoded, params))),
  }),

  method({
    name: 'analyzepsbt',
    category: 'rawtransactions',
    description: 'What a PSBT has, what it lacks, and who is to do something with it next.',
    params: { psbt: psbtParam() },
    result:
      '{ "inputs": [ { "has_utxo", "is_final", "next" }, ... ], "estimated_vsize", "fee", "next", ... }    (object)',
    example: '"psbt"',
    run: (_, { psbt }) =>
      withPsbt(psbt, (decoded) => {
        const analysis = analyzePsbt(decoded);
        return analysis.ok ? result(analysis.value) : error(RpcCode.parameter, analysis.error);
      }),
  }),

  method({
    name: 'combinepsbt',
    category: 'rawtransactions',
    description: 'Puts together what several PSBTs of one transaction know.',
    params: { txs: texts('psbt', 'The PSBTs, base64') },
    result: '"psbt"    (string, base64)',
    example: '\'["psbt1", "psbt2"]\'',
    run: (_, { txs }) => {
      if (txs.length === 0) return error(RpcCode.parameter, "Parameter 'txs' cannot be empty");
      return withPsbts(txs, (psbts) => {
        const [first, ...others] = psbts as [Psbt, ...Psbt[]];
        if (others.some(({ tx }) => tx.txid !== first.tx.txid)) {
          return error(RpcCode.parameter, 'PSBTs not compatible (different transactions)');
        }
        return result(encodePsbt(others.reduce(mergePsbts, first)));
      });
    },
  }),

  method({
    name: 'joinpsbts',
    category: 'rawtransactions',
    description: 'Makes one PSBT with the inputs and outputs of several. No input may be in more than one of them.',
    params: { txs: texts('psbt', 'The PSBTs, base64') },
    result: '"psbt"    (string, base64)',
    example: '\'["psbt1", "psbt2"]\'',
    run: (_, { txs }) => {
      if (txs.length <= 1) return error(RpcCode.parameter, 'At least two PSBTs are required to join PSBTs.');
      return withPsbts(txs, (psbts) => {
        const joined = joinPsbts(psbts);
        return joined.ok ? result(encodePsbt(joined.value)) : error(RpcCode.parameter, joined.error);
      });
    },
  }),

  method({
    name: 'utxoupdatepsbt',
    category: 'rawtransactions',
    description:
      'Adds to a PSBT the coins that it spends, from the chain and the mempool, and the keys of the given descriptors.',
    params: {
      psbt: psbtParam(),
      descriptors: optional(scanObjects('Descriptors whose keys signers are to find')),
    },
    result: '"psbt"    (string, base64)',
    example: '"psbt"',
    run: (context, { psbt, descriptors }) => {
      const expanded = descriptors === undefined ? undefined : readScanObjects(descriptors, context.params);
      if (expanded?.ok === false) return expanded.error;
      const scripts: readonly ExpandedScript[] = expanded?.value ?? [];
      return withPsbt(psbt, (decoded) => {
        return (
          foreignKey(decoded, context.params) ?? result(encodePsbt(updatePsbt(decoded, coinSource(context), scripts)))
        );
      });
    },
  }),

  method({
    name: 'finalizepsbt',
    category: 'rawtransactions',
    description: 'Makes the witnesses of the inputs that are signed and, if those are all, the transaction to be sent.',
    params: {
      psbt: psbtParam(),
      extract: defaulted(bool('Give the transaction instead of the PSBT where it is complete'), true),
    },
    result: '{ "psbt" or "hex", "complete" }    (object)',
    example: '"psbt"',
    run: (_, { psbt, extract }) =>
      withPsbt(psbt, (decoded) => {
        const finalized = finalizePsbt(decoded);
        if (!finalized.ok) return error(RpcCode.parameter, finalized.error);
        const { psbt: final, tx } = finalized.value;
        const complete = tx !== undefined;
        if (complete && extract) return result({ hex: bytesToHex(encodeTransaction(tx)), complete });
        return result({ psbt: encodePsbt(final), complete });
      }),
  }),
];
