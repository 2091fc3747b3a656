/**
 * `sendrawtransaction` of one-input P2TR payments to one real node over HTTP JSON-RPC: batches of 100 on one connection, and
 * single calls on eight. Everything is signed and every request is made before the clock starts; the client writes bytes to
 * sockets, so that what is measured is the node. Where GRAPEVINE_BITCOIND names a bitcoind, it gets the same requests.
 */
import { mkdtempSync, rmSync } from 'node:fs';
import { connect, type Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { bytesToHex } from '#hash';
import { encodeAddress, outputKey } from '../consensus/address.ts';
import type { Block } from '../consensus/block.ts';
import { regtest } from '../consensus/params.ts';
import { encodeTransaction, type Transaction } from '../consensus/transaction.ts';
import { parseEndpoint } from '../wallet/rpc-client.ts';
import { COIN_SCRIPT, coinChain, payOn, submitBlocks } from './coins.ts';
import { figure, median, processorSeconds } from './figures.ts';
import { bitcoind, type RunningNode, startBitcoind, startNode, stopNode } from './node-process.ts';

export const about = 'sendrawtransaction over HTTP: batches of 100, and 8 connections; [transactions] [rounds]';

const AIM = 5500;
const BATCH = 100;
const CONNECTIONS = 8;
const NATIVE_OPTIONS = ['-connect=0', '-persistmempool=0'];

interface Measured {
  readonly rate: number;
  /** Processor microseconds of all threads of the node for each transaction. */
  readonly processor: number;
}

type Way = 'batches' | 'singles';

export async function run([count = '4000', rounds = '3']: readonly string[]): Promise<void> {
  const each = Number(count);
  const { blocks, coins } = coinChain(2 * each * (Number(rounds) + 1));
  const transactions = coins.map((coin) => payOn(coin));
  const ours = await measure(blocks, transactions, each, (datadir) => startNode(datadir, '--no-pex'));
  const batches = report('batches of 100', ours.batches, `aim ${AIM}; `);
  const singles = report('8 connections', ours.singles, `aim ${AIM}; `);
  if (bitcoind === undefined) return;
  const path = bitcoind;
  const theirs = await measure(blocks, transactions, each, (datadir) =>
    startBitcoind(path, datadir, ...NATIVE_OPTIONS),
  );
  figure('ratio, batches', batches / report('bitcoind: batches of 100', theirs.batches), '×');
  figure('ratio, 8 connections', singles / report('bitcoind: 8 connections', theirs.singles), '×');
}

function report(name: string, measured: readonly Measured[], against = ''): number {
  const rates = measured.map(({ rate }) => rate);
  const spread = `${rates.length} rounds, ${Math.min(...rates).toFixed(0)} to ${Math.max(...rates).toFixed(0)}`;
  figure(`${name}, median`, median(rates), 'tx/s', `${against}${spread}`);
  const processor = median(measured.map((one) => one.processor));
  figure(`${name}: processor time`, processor, 'µs/tx', 'all threads of the node');
  return median(rates);
}

/**
 * A fresh node with these blocks gets `count` transactions in batches, then as many in single calls; then a block or more
 * takes all of them, and the next round begins. The first round only warms up.
 */
async function measure(
  blocks: readonly Block[],
  transactions: readonly Transaction[],
  count: number,
  start: (datadir: string) => Promise<RunningNode>,
): Promise<Readonly<Record<Way, readonly Measured[]>>> {
  const datadir = mkdtempSync(join(tmpdir(), 'grapevine-bench-'));
  const measured: Record<Way, Measured[]> = { batches: [], singles: [] };
  let node: RunningNode | undefined;
  try {
    node = await start(datadir);
    await answers(node);
    await submitBlocks(node.client, blocks);
    for (let from = 0; from < transactions.length; from += 2 * count) {
      measured.batches.push(await send(node, batches(transactions.slice(from, from + count)), 1));
      measured.singles.push(await send(node, singles(transactions.slice(from + count, from + 2 * count)), CONNECTIONS));
      await mineAll(node, 2 * count);
    }
    return { batches: measured.batches.slice(1), singles: measured.singles.slice(1) };
  } finally {
    if (node !== undefined) await stopNode(node);
    rmSync(datadir, { recursive: true, force: true });
  }
}

/** Confirms what the pool has: it must be as many transactions as were sent. */
async function mineAll({ client }: RunningNode, sent: number): Promise<void> {
  const pool = async () => ((await client.call('getmempoolinfo')) as { size: number }).size;
  let left = await pool();
  if (left !== sent) throw new Error(`the pool has ${left} transactions, not ${sent}`);
  const address = encodeAddress(outputKey(COIN_SCRIPT), regtest.hrp);
  for (; left > 0; left = await pool()) await client.call('generatetoaddress', [1, address]);
}

/** A node that starts refuses its first calls. */
async function answers({ child, client }: RunningNode): Promise<void> {
  while (
    !(await client.call('getblockcount').then(
      () => true,
      () => false,
    ))
  ) {
    if (child.exitCode !== null) throw new Error(`the node ended with code ${child.exitCode}`);
  }
}

/** The bodies of requests, each with the txids that must be in its answer. */
interface Body {
  readonly text: string;
  readonly txids: readonly string[];
}

function callOf(tx: Transaction, id: number): string {
  const hex = bytesToHex(encodeTransaction(tx));
  return `{"jsonrpc":"1.0","id":${id},"method":"sendrawtransaction","params":["${hex}"]}`;
}

function singles(transactions: readonly Transaction[]): Body[] {
  return transactions.map((tx, id) => ({ text: callOf(tx, id), txids: [tx.txid] }));
}

function batches(transactions: readonly Transaction[]): Body[] {
  const bodies: Body[] = [];
  for (let from = 0; from < transactions.length; from += BATCH) {
    const part = transactions.slice(from, from + BATCH);
    bodies.push({ text: `[${part.map(callOf).join(',')}]`, txids: part.map(({ txid }) => txid) });
  }
  return bodies;
}

/** Sends all requests, one at a time on each connection, and checks every answer when the clock has stopped. */
async function send({ child, client }: RunningNode, bodies: readonly Body[], connections: number): Promise<Measured> {
  const { endpoint, credentials } = client.target;
  const { host, port } = parseEndpoint(endpoint);
  const authorization = Buffer.from(credentials as string).toString('base64');
  const head = `POST / HTTP/1.1\r\nHost: ${host}\r\nAuthorization: Basic ${authorization}\r\nContent-Type: application/json\r\n`;
  const requests = bodies.map(({ text }) => Buffer.from(`${head}Content-Length: ${text.length}\r\n\r\n${text}`));
  const answers: string[] = Array.from({ length: bodies.length });
  const sockets = Array.from({ length: connections }, () => connect({ host, port, noDelay: true }));
  try {
    await Promise.all(sockets.map((socket) => new Promise((resolve) => socket.once('connect', resolve))));
    const pid = child.pid as number;
    const processor = processorSeconds(pid) ?? Number.NaN;
    const began = performance.now();
    let next = 0;
    await Promise.all(
      sockets.map(async (socket) => {
        for (let index = next++; index < requests.length; index = next++) {
          answers[index] = await exchange(socket, requests[index] as Buffer);
        }
      }),
    );
    const seconds = (performance.now() - began) / 1000;
    const spent = (processorSeconds(pid) ?? Number.NaN) - processor;
    const count = bodies.reduce((sum, { txids }) => sum + txids.length, 0);
    for (const [index, { txids }] of bodies.entries()) check(answers[index] as string, txids);
    return { rate: count / seconds, processor: (spent / count) * 1e6 };
  } finally {
    for (const socket of sockets) socket.destroy();
  }
}

/** Every transaction was accepted, and the answers are in the order of the calls. */
function check(answer: string, txids: readonly string[]): void {
  const parsed = JSON.parse(answer) as { result: string; error: unknown } | { result: string; error: unknown }[];
  const list = Array.isArray(parsed) ? parsed : [parsed];
  for (const [index, txid] of txids.entries()) {
    if (list[index]?.result !== txid) throw new Error(`refused: ${JSON.stringify(list[index])}`);
  }
}

/** One HTTP exchange: the body of the answer, whose length the node must name. */
function exchange(socket: Socket, request: Buffer): Promise<string> {
  return new Promise((resolve, reject) => {
    let received: Buffer = Buffer.alloc(0);
    const onClose = () => reject(new Error('the node closed the connection'));
    const onData = (chunk: Buffer) => {
      received = received.length === 0 ? chunk : Buffer.concat([received, chunk]);
      const headEnd = received.indexOf('\r\n\r\n');
      if (headEnd < 0) return;
      const length = Number(/\r\ncontent-length: (\d+)/i.exec(received.toString('latin1', 0, headEnd + 2))?.[1]);
      if (!(received.length >= headEnd + 4 + length)) return;
      socket.off('data', onData).off('close', onClose);
      resolve(received.toString('utf8', headEnd + 4, headEnd + 4 + length));
    };
    socket.on('data', onData).once('close', onClose);
    socket.write(request);
  });
}
