/** Methods about what hangs together in the mempool: ancestors, descendants, and who spends an output. */
import { fail, ok, outPointKey, type Result, type Txid } from '../../consensus/brand.ts';
import type { Entry } from '../mempool/entry.ts';
import { error, type RpcAnswer, RpcCode, type RpcError, result } from './answer.ts';
import type { RpcContext } from './context.ts';
import { jsonType } from './json.ts';
import { entryJson } from './mempool.ts';
import { method, type RpcMethod } from './method.ts';
import { array, bool, defaulted, hash, readHash, readInt } from './params.ts';

const txid = () => hash<Txid>('parameter 1', 'The transaction');
const verbose = () => defaulted(bool('An object with an entry for each, or their ids'), false);
const RESULT = '[ "txid", ... ]    (array)\n{ "txid": {...}, ... }    (object) with verbose=true';

/** The ids of some entries, or all about them. */
function relatives(
  { pool }: RpcContext,
  txid: Txid,
  verbose: boolean,
  find: (entry: Entry) => readonly Entry[],
): RpcAnswer {
  const entry = pool.get(txid);
  if (entry === undefined) return error(RpcCode.addressOrKey, 'Transaction not in mempool');
  const found = find(entry);
  if (!verbose) return result(found.map(({ tx }) => tx.txid));
  return result(Object.fromEntries(found.map((one) => [one.tx.txid, entryJson(one, pool.ancestors(one))])));
}

interface Outpoint {
  readonly txid: Txid;
  readonly vout: number;
}

function readOutpoints(values: readonly unknown[]): Result<readonly Outpoint[], RpcError> {
  if (values.length === 0) return fail(error(RpcCode.parameter, 'Invalid parameter, outputs are missing'));
  const outpoints: Outpoint[] = [];
  for (const value of values) {
    const outpoint = readOutpoint(value);
    if (!outpoint.ok) return outpoint;
    outpoints.push(outpoint.value);
  }
  return ok(outpoints);
}

function readOutpoint(value: unknown): Result<Outpoint, RpcError> {
  const wrong = (message: string) => fail(error(RpcCode.type, message));
  if (jsonType(value) !== 'object') {
    return wrong(`JSON value of type ${jsonType(value)} is not of expected type object`);
  }
  const given = value as Readonly<Record<string, unknown>>;
  for (const [name, expected] of [
    ['txid', 'string'],
    ['vout', 'number'],
  ] as const) {
    const type = jsonType(given[name]);
    if (type === 'null') return wrong(`Missing ${name}`);
    if (type !== expected)
      return wrong(`JSON value of type ${type} for field ${name} is not of expected type ${expected}`);
  }
  const other = Object.keys(given).find((name) => name !== 'txid' && name !== 'vout');
  if (other !== undefined) return wrong(`Unexpected key ${other}`);
  const txid = readHash<Txid>(given['txid'] as string, 'txid');
  if (!txid.ok) return txid;
  const vout = readInt(given['vout'] as number);
  if (!vout.ok) return vout;
  if (vout.value < 0) return fail(error(RpcCode.parameter, 'Invalid parameter, vout cannot be negative'));
  return ok({ txid: txid.value, vout: vout.value });
}

export const relationMethods: readonly RpcMethod[] = [
  method({
    name: 'getmempoolancestors',
    category: 'blockchain',
    description: 'All transactions of the mempool that a transaction of the mempool depends on.',
    params: { txid: txid(), verbose: verbose() },
    result: RESULT,
    example: '"txid"',
    run: (context, { txid, verbose }) => relatives(context, txid, verbose, (entry) => context.pool.ancestors(entry)),
  }),

  method({
    name: 'getmempooldescendants',
    category: 'blockchain',
    description: 'All transactions of the mempool that depend on a transaction of the mempool.',
    params: { txid: txid(), verbose: verbose() },
    result: RESULT,
    example: '"txid"',
    run: (context, { txid, verbose }) => relatives(context, txid, verbose, (entry) => context.pool.descendants(entry)),
  }),

  method({
    name: 'gettxspendingprevout',
    category: 'blockchain',
    description: 'Which transactions of the mempool spend these outputs.',
    params: {
      outputs: array('[{"txid":"hex","vout":n},...]', 'The outputs', readOutpoints),
    },
    result: '[ { "txid", "vout", "spendingtxid" }, ... ]    (array of objects), "spendingtxid" only where there is one',
    example: '\'[{"txid":"hex","vout":0}]\'',
    run: ({ pool }, { outputs }) =>
      result(
        outputs.map(({ txid, vout }) => {
          return { txid, vout, spendingtxid: pool.spender(outPointKey(txid, vout))?.tx.txid };
        }),
      ),
  }),
];
