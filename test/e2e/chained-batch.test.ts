/** A chain of payments in one JSON-RPC batch, over HTTP to the built program: each spends what the one before it made. */
import { readFileSync } from 'node:fs';
import { expect, test } from '@jest/globals';
import { bytesToHex } from '#hash';
import { encodeAddress, outputKey } from '../../consensus/address.ts';
import { regtest } from '../../consensus/params.ts';
import { encodeTransaction, type Transaction } from '../../consensus/transaction.ts';
import { outputOf, pay, spend, testKey } from '../support/chain-builder.ts';
import { NodeProcess } from '../support/node-process.ts';
import { temporaryFolders } from '../support/temporary-folder.ts';

const newFolder = temporaryFolders();
const key = testKey(3);
const FEE_SATS = 500n;

interface Answer {
  readonly id: number;
  readonly result: string | null;
  readonly error: { readonly code: number; readonly message: string } | null;
}

/** All in one request: the answers as they stand in the reply. */
async function sendAll(node: NodeProcess, transactions: readonly Transaction[]): Promise<readonly Answer[]> {
  const body = transactions.map((tx, id) => ({
    jsonrpc: '1.0',
    id,
    method: 'sendrawtransaction',
    params: [bytesToHex(encodeTransaction(tx))],
  }));
  const authorization = `Basic ${Buffer.from(readFileSync(node.ready.cookie, 'utf8').trim()).toString('base64')}`;
  const reply = await fetch(`http://${node.ready.rpc}/`, {
    method: 'POST',
    headers: { authorization },
    body: JSON.stringify(body),
  });
  return (await reply.json()) as readonly Answer[];
}

test('25 payments in one batch that spend each other are accepted in order; a 26th is too many', async () => {
  const node = await NodeProcess.start(newFolder());
  const [first] = await node.call<string[]>(
    'generatetoaddress',
    101,
    encodeAddress(outputKey(key.script), regtest.hrp),
  );
  const { tx } = await node.call<{ tx: { txid: string }[] }>('getblock', first, 2);
  const coin = { txid: tx[0]?.txid as Transaction['txid'], vout: 0, value: 5_000_000_000n, scriptPubKey: key.script };
  const chain: Transaction[] = [];
  let value = coin.value;
  for (let i = 0; i < 26; i++) {
    const last = chain.at(-1);
    value -= FEE_SATS;
    chain.push(spend([last === undefined ? { ...coin, key } : outputOf(last, 0, key)], [pay(key, value)]));
  }
  const answers = await sendAll(node, chain);
  expect(answers.map(({ id }) => id)).toEqual(chain.map((_, id) => id));
  expect(answers.slice(0, 25).map(({ result }) => result)).toEqual(chain.slice(0, 25).map(({ txid }) => txid));
  expect(answers[25]?.error?.message).toContain('too-long-mempool-chain');

  // Children before their parents are refused, and nothing else is: they are not put in another order.
  await node.call('generatetoaddress', 1, encodeAddress(outputKey(key.script), regtest.hrp));
  const [parent, child] = [
    chain[25] as Transaction,
    spend([outputOf(chain[25] as Transaction, 0, key)], [pay(key, 1000n)]),
  ];
  const [refused, accepted] = await sendAll(node, [child, parent]);
  expect(refused?.error?.message).toBe('bad-txns-inputs-missingorspent');
  expect(accepted?.result).toBe(parent.txid);
});
