/** A devnet of four real nodes: time until it is ready, and how long a payment and a block take to reach all nodes. */
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { bytesToHex } from '#hash';
import { decodeAddress, scriptHash } from '../consensus/address.ts';
import type { Bytes, Txid } from '../consensus/brand.ts';
import { COIN, regtest } from '../consensus/params.ts';
import { encodeTransaction } from '../consensus/transaction.ts';
import { below } from '../node/ports.ts';
import { SeededRandom } from '../node/random.ts';
import { type SpendableCoin, signTransaction } from '../wallet/build-transaction.ts';
import { DEFAULT_DEVNET, type DevnetFile, devnetFilePath, readDevnetFile } from '../wallet/devnet-file.ts';
import { EXTERNAL } from '../wallet/key-place.ts';
import { AccountSecret } from '../wallet/keys.ts';
import { seedFromMnemonic } from '../wallet/mnemonic.ts';
import { RpcClient } from '../wallet/rpc-client.ts';
import { figure, median, residentMegabytes, sleep } from './figures.ts';

export const about = 'devnet up -n 4: time to ready; a payment and a block to all nodes';

const NODES = 4;
const PAYMENTS = 15;
const BLOCKS = 15;
const PROGRAM = join(import.meta.dirname, '../program/grapevine.js');

export async function run(): Promise<void> {
  const datadir = mkdtempSync(join(tmpdir(), 'grapevine-bench-'));
  const ready = join(datadir, 'ready.json');
  const began = performance.now();
  const args = ['devnet', 'up', '-n', String(NODES), '--no-mine', '--datadir', datadir, '--ready-file', ready];
  const up = spawn(process.execPath, [PROGRAM, ...args], { stdio: ['ignore', 'ignore', 'inherit'] });
  const clients: RpcClient[] = [];
  try {
    while (!existsSync(ready)) {
      if (up.exitCode !== null) throw new Error(`devnet up ended with code ${up.exitCode}`);
      await sleep(5);
    }
    figure(`devnet up -n ${NODES} to ready`, (performance.now() - began) / 1000, 's', 'aim 2 s');
    const devnet = readDevnetFile(devnetFilePath(datadir, DEFAULT_DEVNET)) as DevnetFile;
    for (const node of devnet.nodes) clients.push(clientOf(node.rpc, node.cookie));
    const payments: number[] = [];
    const purse = await openPurse(devnet, clients[0] as RpcClient);
    for (let i = 0; i < PAYMENTS; i++) payments.push(await payment(purse, clients));
    figure('payment in all pools, median', median(payments), 'ms', `aim 250 ms; ${PAYMENTS} payments`);
    const blocks: number[] = [];
    for (let i = 0; i < BLOCKS; i++) blocks.push(await block(i % NODES, devnet, clients));
    figure('block at all nodes, median', median(blocks), 'ms', `aim 100 ms; ${BLOCKS} blocks`);
    const memory = devnet.nodes.map(({ pid }) => residentMegabytes(pid as number)).filter((mb) => mb !== undefined);
    if (memory.length > 0) figure('memory of a node after that, median', median(memory), 'MB');
  } finally {
    for (const client of clients) client.close();
    await stop(up);
    rmSync(datadir, { recursive: true, force: true });
  }
}

function clientOf(rpc: string, cookie: string): RpcClient {
  return new RpcClient({ endpoint: rpc, credentials: readFileSync(cookie, 'utf8').trim(), cookieFile: cookie });
}

/** A coin of the first account, and what signs for it. */
interface Purse {
  coin: SpendableCoin;
  readonly secret: Bytes;
}

const FEE = 1000n;
const random = new SeededRandom('bench');
const FIRST = { chain: EXTERNAL, index: 0 } as const;

/** The funded coin of the first account of the devnet. */
async function openPurse(devnet: DevnetFile, client: RpcClient): Promise<Purse> {
  const account = devnet.accounts[0] as DevnetFile['accounts'][number];
  const script = decodeAddress(account.address, regtest);
  if (!script.ok) throw new Error(script.error.message);
  const { coins } = (await client.call('getscriptcoins', [scriptHash(script.value)])) as {
    coins: { txid: Txid; vout: number; amount: number }[];
  };
  const first = coins[0];
  if (first === undefined) throw new Error('the first account has no coin');
  const value = BigInt(Math.round(first.amount * Number(COIN)));
  return {
    coin: { prevout: { txid: first.txid, vout: first.vout }, value, scriptPubKey: script.value, place: FIRST },
    secret: new AccountSecret(seedFromMnemonic(account.mnemonic), regtest).outputSecret(FIRST),
  };
}

/** Pays the coin to its own address, submits that at the first node, and waits until all pools hold it. */
async function payment(purse: Purse, clients: readonly RpcClient[]): Promise<number> {
  const { coin, secret } = purse;
  const output = { value: coin.value - FEE, scriptPubKey: coin.scriptPubKey };
  const plan = {
    coins: [coin],
    fields: {
      version: 2,
      inputs: [{ prevout: coin.prevout, scriptSig: new Uint8Array(0), sequence: 0xfffffffd, witness: [] }],
      outputs: [output],
      lockTime: 0,
    },
    fee: FEE,
    vsize: 111,
    changeIndex: undefined,
  };
  const tx = signTransaction(plan, () => secret, {
    bytes: (length) => random.bytes(length),
    below: (n) => below(random, n),
  });
  const hex = bytesToHex(encodeTransaction(tx));
  const began = performance.now();
  await (clients[0] as RpcClient).call('sendrawtransaction', [hex]);
  await all(clients, async (client) => ((await client.call('getrawmempool')) as unknown[]).includes(tx.txid));
  purse.coin = { ...coin, prevout: { txid: tx.txid, vout: 0 }, value: output.value };
  return performance.now() - began;
}

async function block(at: number, devnet: DevnetFile, clients: readonly RpcClient[]): Promise<number> {
  const [hash] = (await (clients[at] as RpcClient).call('generatetoaddress', [1, devnet.faucet.address])) as string[];
  const began = performance.now();
  await all(clients, async (client) => (await client.call('getbestblockhash')) === hash);
  return performance.now() - began;
}

/** Asks all nodes again and again until the condition holds at each of them. */
async function all(clients: readonly RpcClient[], holds: (client: RpcClient) => Promise<boolean>): Promise<void> {
  const deadline = performance.now() + 10_000;
  await Promise.all(
    clients.map(async (client) => {
      while (!(await holds(client))) {
        if (performance.now() > deadline) throw new Error('it did not reach every node within 10 s');
      }
    }),
  );
}

async function stop(up: ChildProcess): Promise<void> {
  if (up.exitCode !== null) return;
  up.kill('SIGINT');
  await once(up, 'exit');
}
