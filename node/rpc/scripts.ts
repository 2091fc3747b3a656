/** Methods about output scripts and addresses; the index of scripts is our own (Core has none). */
import { bytesToHex } from '#hash';
import { decodeAddress } from '../../consensus/address.ts';
import type { ScriptHash } from '../../consensus/brand.ts';
import { command, error, type RpcAnswer, RpcCode, result } from './answer.ts';
import { method, type RpcMethod } from './method.ts';
import { oneOrMore, readHash, text } from './params.ts';

/** Scripts that one call asks about. */
const MAX_SCRIPTS = 1000;

const scriptHashes = () =>
  oneOrMore('scripthash', 'sha256 of the output script, hex in the order of its bytes; or an array of them');

function scan(
  type: 'script-balances' | 'script-coins' | 'script-history',
  { values, single }: { readonly values: readonly string[]; readonly single: boolean },
): RpcAnswer {
  if (values.length > MAX_SCRIPTS) return error(RpcCode.parameter, `At most ${MAX_SCRIPTS} scripts can be asked for`);
  const hashes: ScriptHash[] = [];
  for (const value of values) {
    const hash = readHash<ScriptHash>(value, 'scripthash');
    if (!hash.ok) return hash.error;
    hashes.push(hash.value);
  }
  return command({ type, hashes, single });
}

export const scriptMethods: readonly RpcMethod[] = [
  method({
    name: 'getscriptbalance',
    category: 'scripts',
    description:
      'What a script holds: "confirmed" in blocks and spendable, "immature" coinbases, and "unconfirmed" outputs of the\n' +
      'mempool. What the mempool spends is in none of them; "coins" counts it too. Not of Bitcoin Core.',
    params: { scripthash: scriptHashes() },
    result:
      '{ "scripthash", "bestblock", "height", "confirmed", "unconfirmed", "immature", "coins" }    (object), or an\n' +
      'array of such objects',
    example: '"scripthash"',
    run: (_, { scripthash }) => scan('script-balances', scripthash),
  }),

  method({
    name: 'getscriptcoins',
    category: 'scripts',
    description:
      'The coins of a script: those of the chain, and unconfirmed ones of the mempool (confirmations 0). A coin that a\n' +
      'mempool transaction spends is shown with its txid in "spentby". Not of Bitcoin Core.',
    params: { scripthash: scriptHashes() },
    result:
      '{ "scripthash", "bestblock", "height", "coins": [ { "txid", "vout", "amount", "confirmations", "height",\n' +
      '"coinbase", "spentby" }, ... ] }    (object), or an array of such objects',
    example: '"scripthash"',
    run: (_, { scripthash }) => scan('script-coins', scripthash),
  }),

  method({
    name: 'getscripthistory',
    category: 'scripts',
    description:
      'The transactions that pay to a script or spend from it, in the order of the chain, those of the mempool last.\n' +
      'Not of Bitcoin Core.',
    params: { scripthash: scriptHashes() },
    result:
      '{ "scripthash", "bestblock", "height", "transactions": [ { "txid", "confirmations", "height", "index",\n' +
      '"blockhash" }, ... ] }    (object), or an array of such objects',
    example: '"scripthash"',
    run: (_, { scripthash }) => scan('script-history', scripthash),
  }),

  method({
    name: 'validateaddress',
    category: 'util',
    description: 'Whether a text is an address of this network, and the script that it stands for.',
    params: { address: text('The address') },
    result: '{ "isvalid", "address", "scriptPubKey", "witness_program", "error", ... }    (object)',
    example: '"address"',
    run: ({ params }, { address }) => {
      const script = decodeAddress(address, params);
      if (!script.ok) return result({ isvalid: false, error_locations: [], error: script.error.message });
      return result({
        isvalid: true,
        address: address.toLowerCase(),
        scriptPubKey: bytesToHex(script.value),
        isscript: true,
        iswitness: true,
        witness_version: 1,
        witness_program: bytesToHex(script.value.subarray(2)),
      });
    },
  }),
];
