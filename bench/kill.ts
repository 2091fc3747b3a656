/**
 * `npm run bench -- kill [--times 200] [--seed 1]`: kills a node with SIGKILL at random instants, while it starts, syncs,
 * mines, reorganises and is paid, starts it again on the same data directory, and compares it in the end with a node that
 * was left alone: the hash of the set of coins, the coins of a script, and whether anything that it had confirmed is gone.
 */
import { type ChildProcess, spawn } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { bytesToHex, sha256 } from '#hash';
import { encodeAddress, p2trScript, scriptHash } from '../consensus/address.ts';
import type { Txid } from '../consensus/brand.ts';
import { regtest } from '../consensus/params.ts';
import { SIGHASH_DEFAULT, SighashCache } from '../consensus/sighash.ts';
import { signSchnorr, xOnlyPublicKey } from '../consensus/signature.ts';
import {
  encodeTransaction,
  makeTransaction,
  type Transaction,
  type TransactionFields,
  type TxOutput,
} from '../consensus/transaction.ts';
import { below, type Random } from '../node/ports.ts';
import { SeededRandom } from '../node/random.ts';
import { NodeRefusal, RpcClient } from '../wallet/rpc-client.ts';
import { figure, sleep } from './figures.ts';

export const about = 'kills a busy node at random instants and compares it with one that was left alone';

const PROGRAM = join(import.meta.dirname, '../program/grapevine.js');
const NO_AUX = new Uint8Array(32);
/** One life of four may end before the node is ready; the others end within so long after that. */
const BIRTH_MS = 800;
const LIFE_MS = 1200;
/** After so many kills the node is left alone until all that it had confirmed was found. */
const KILLS_PER_CHECK = 10;
const BASE_BLOCKS = 125;
const FAN_OUTS = 12;
const COINS_PER_FAN_OUT = 200;
const PATIENCE_MS = 60_000;

export interface KillOptions {
  readonly times: number;
  readonly seed: number;
  /** The built program. */
  readonly program?: string;
  readonly log?: (line: string) => void;
}

export interface KillReport {
  readonly kills: number;
  readonly killsBeforeReady: number;
  readonly height: number;
  readonly blocksConfirmed: number;
  readonly paymentsConfirmed: number;
  readonly reorgs: number;
  readonly hash: string;
}

export async function run(args: readonly string[]): Promise<void> {
  const times = Number(optionOf(args, '--times') ?? 200);
  const seed = Number(optionOf(args, '--seed') ?? 1);
  const began = performance.now();
  const report = await killNode({ times, seed, log: (line) => process.stdout.write(`${line}\n`) });
  figure('kills survived', report.kills, '', `seed ${seed}; ${report.killsBeforeReady} of them before it was ready`);
  figure('height in the end', report.height, '', `coins ${report.hash.slice(0, 16)}… on both nodes`);
  figure('blocks confirmed, none forgotten', report.blocksConfirmed, '', `${report.reorgs} forced reorgs`);
  figure('payments confirmed, none forgotten', report.paymentsConfirmed, '');
  figure('time', (performance.now() - began) / 1000, 's');
}

function optionOf(args: readonly string[], name: string): string | undefined {
  const at = args.indexOf(name);
  return at === -1 ? undefined : args[at + 1];
}

/** Throws if anything is not as it should be. */
export async function killNode(options: KillOptions): Promise<KillReport> {
  const folder = mkdtempSync(join(tmpdir(), 'grapevine-kill-'));
  const story = new Story(options, folder);
  try {
    return await story.play();
  } finally {
    await story.end();
    rmSync(folder, { recursive: true, force: true });
  }
}

/** A process of the node. */
class Life {
  readonly child: ChildProcess;
  /** Undefined if it ended before it was ready. */
  readonly ready: Promise<RpcClient | undefined>;
  readonly ended: Promise<void>;
  peerUrl = '';
  #stderr = '';
  #client: RpcClient | undefined;
  #isKilled = false;

  constructor(program: string, datadir: string, args: readonly string[]) {
    const given = ['node', '--json', '--datadir', datadir, '--rpc', '127.0.0.1:0', '--listen', 'ws://127.0.0.1:0'];
    this.child = spawn(process.execPath, [program, ...given, '--no-pex', '--quiet', ...args], { stdio: 'pipe' });
    this.child.stderr?.on('data', (text) => {
      this.#stderr += text;
    });
    this.ended = new Promise((resolve) => {
      this.child.once('close', () => resolve());
    });
    const line = new Promise<string>((resolve) => {
      createInterface({ input: this.child.stdout as NodeJS.ReadableStream }).once('line', resolve);
    });
    this.ready = Promise.race([line, this.ended]).then((text) => {
      if (text === undefined) return undefined;
      const { rpc, cookie, listen } = JSON.parse(text) as { rpc: string; cookie: string; listen: string[] };
      this.peerUrl = listen[0] as string;
      this.#client = new RpcClient({
        endpoint: rpc,
        credentials: readFileSync(cookie, 'utf8').trim(),
        cookieFile: cookie,
      });
      return this.#client;
    });
  }

  get isKilled(): boolean {
    return this.#isKilled;
  }

  async kill(): Promise<void> {
    this.checkAlive();
    this.#isKilled = true;
    this.child.kill('SIGKILL');
    await this.ended;
    this.#client?.close();
  }

  /** A node that ends by itself has failed. */
  checkAlive(): void {
    if (this.child.exitCode === null && this.child.signalCode === null) return;
    throw new Error(`the node ended by itself with ${this.child.exitCode ?? this.child.signalCode}: ${this.#stderr}`);
  }

  async client(): Promise<RpcClient> {
    const client = await this.ready;
    if (client === undefined) this.checkAlive();
    return client as RpcClient;
  }

  async stop(): Promise<void> {
    this.#client?.close();
    if (this.child.exitCode === null && this.child.signalCode === null) this.child.kill('SIGTERM');
    await this.ended;
  }
}

interface OwnCoin extends TxOutput {
  readonly txid: Txid;
  readonly vout: number;
}

class Story {
  readonly #program: string;
  readonly #datadir: string;
  readonly #times: number;
  readonly #log: (line: string) => void;
  readonly #random: Random;
  readonly #secret = sha256(new TextEncoder().encode('grapevine kill'));
  readonly #script = p2trScript(xOnlyPublicKey(this.#secret));
  readonly #address = encodeAddress(xOnlyPublicKey(this.#secret), regtest.hrp);
  /** Left alone. */
  readonly #witness: Life;
  #victim: Life | undefined;
  #coins: OwnCoin[] = [];
  /** What the victim has confirmed. */
  readonly #payments = new Set<string>();
  readonly #blocks = new Set<string>();
  /** Blocks that the victim was told to leave, and not yet to take back. */
  readonly #left = new Set<string>();
  #reorgs = 0;

  constructor(options: KillOptions, folder: string) {
    this.#program = options.program ?? PROGRAM;
    this.#times = options.times;
    this.#log = options.log ?? (() => undefined);
    this.#random = new SeededRandom(`kill ${options.seed}`);
    this.#datadir = join(folder, 'victim');
    this.#witness = new Life(this.#program, join(folder, 'witness'), []);
  }

  async play(): Promise<KillReport> {
    await this.#makeBase();
    let killsBeforeReady = 0;
    for (let kills = 1; kills <= this.#times; kills++) {
      const life = this.#start();
      const isReady = await this.#live(life);
      if (!isReady) killsBeforeReady++;
      if (below(this.#random, 2) === 0) await this.#mine(await this.#witness.client(), below(this.#random, 40));
      if (kills % KILLS_PER_CHECK !== 0 && kills !== this.#times) continue;
      const height = await this.#check();
      this.#log(`${kills} kills, height ${height}, ${this.#payments.size} payments, ${this.#blocks.size} blocks`);
    }
    return { kills: this.#times, killsBeforeReady, ...(await this.#compare()) };
  }

  async end(): Promise<void> {
    await this.#victim?.stop();
    await this.#witness.stop();
  }

  #start(isConnected = below(this.#random, 10) < 7): Life {
    this.#victim = new Life(this.#program, this.#datadir, isConnected ? ['--connect', this.#witness.peerUrl] : []);
    return this.#victim;
  }

  /** Keeps it busy until its time has come. True if it was ready by then. */
  async #live(life: Life): Promise<boolean> {
    const isShort = below(this.#random, 4) === 0;
    const lifeMs = below(this.#random, isShort ? BIRTH_MS : LIFE_MS);
    const dead = (isShort ? Promise.resolve() : life.client()).then(() => sleep(lifeMs)).then(() => life.kill());
    const client = await Promise.race([life.ready, dead]);
    if (client === undefined || life.isKilled) {
      await dead;
      return false;
    }
    // What fails from the kill on is none; what fails before it is told by the node.
    const busy = this.#keepBusy(client, life).catch(async (error) => {
      if (life.isKilled) return;
      // It may have ended by itself, and then it says why.
      await sleep(500);
      if (!life.isKilled) life.checkAlive();
      this.#witness.checkAlive();
      throw error;
    });
    await Promise.all([dead, busy]);
    return true;
  }

  async #keepBusy(client: RpcClient, life: Life): Promise<void> {
    await this.#takeBack(client);
    for (let isLinked = false; !life.isKilled; ) {
      const dice = below(this.#random, 100);
      if (dice < 40) await this.#pay(client);
      else if (dice < 60) await this.#mine(client, 1 + below(this.#random, 3), this.#blocks);
      else if (dice < 72) await this.#reorganise(client);
      else if (dice < 82) await this.#submit(client);
      else if (dice < 94) await this.#mine(await this.#witness.client(), 1 + below(this.#random, 3));
      else if (!isLinked) {
        isLinked = true;
        await client.call('addnode', [this.#witness.peerUrl, 'onetry']);
      }
    }
  }

  async #mine(client: RpcClient, count: number, confirmed?: Set<string>): Promise<void> {
    if (count === 0) return;
    const hashes = (await client.call('generatetoaddress', [count, this.#address])) as string[];
    for (const hash of hashes) confirmed?.add(hash);
  }

  /** A block on the tip that is submitted as a miner would. */
  async #submit(client: RpcClient): Promise<void> {
    const block = (await client.call('generateblock', [this.#address, [], false])) as { hash: string; hex: string };
    const answer = await client.call('submitblock', [block.hex]);
    if (answer !== null && answer !== 'inconclusive' && answer !== 'duplicate') throw new Error(`refused: ${answer}`);
    this.#blocks.add(block.hash);
  }

  /** Leaves some blocks, perhaps for others, and comes back. */
  async #reorganise(client: RpcClient): Promise<void> {
    const height = (await client.call('getblockcount')) as number;
    const depth = 1 + below(this.#random, 8);
    if (height - depth <= BASE_BLOCKS + 2) return;
    const hash = (await client.call('getblockhash', [height - depth])) as string;
    this.#left.add(hash);
    this.#reorgs++;
    await client.call('invalidateblock', [hash]);
    if (below(this.#random, 2) === 0) await this.#mine(client, 1 + below(this.#random, 4), this.#blocks);
    await this.#takeBack(client);
  }

  async #takeBack(client: RpcClient): Promise<void> {
    for (const hash of [...this.#left]) {
      try {
        await client.call('reconsiderblock', [hash]);
      } catch (error) {
        // It came from the witness and was never stored before the kill: that is none of what was confirmed.
        if (!(error instanceof NodeRefusal) || this.#blocks.has(hash)) throw error;
      }
      this.#left.delete(hash);
    }
  }

  async #pay(client: RpcClient): Promise<void> {
    const coin = this.#coins.pop();
    if (coin === undefined) return;
    const tx = this.#spend(coin, [{ value: coin.value - 1000n, scriptPubKey: this.#script }]);
    await client.call('sendrawtransaction', [hexOf(tx), 0]);
    this.#payments.add(tx.txid);
  }

  #spend(coin: OwnCoin, outputs: readonly TxOutput[]): Transaction {
    const input = { prevout: coin, scriptSig: new Uint8Array(0), sequence: 0xfffffffd };
    const fields: TransactionFields = { version: 2, inputs: [{ ...input, witness: [] }], outputs, lockTime: 0 };
    const digest = new SighashCache(fields, [coin]).digest(0, SIGHASH_DEFAULT);
    return makeTransaction({ ...fields, inputs: [{ ...input, witness: [signSchnorr(this.#secret, digest, NO_AUX)] }] });
  }

  /** A chain that both nodes share, with coins that no reorg takes away. */
  async #makeBase(): Promise<void> {
    const client = await this.#witness.client();
    await this.#mine(client, BASE_BLOCKS);
    for (let height = 1; height <= FAN_OUTS; height++) {
      const hash = await client.call('getblockhash', [height]);
      const { tx } = (await client.call('getblock', [hash, 1])) as { tx: Txid[] };
      const coinbase: OwnCoin = { txid: tx[0] as Txid, vout: 0, value: 5_000_000_000n, scriptPubKey: this.#script };
      const value = (coinbase.value - 100_000n) / BigInt(COINS_PER_FAN_OUT);
      const outputs = Array.from({ length: COINS_PER_FAN_OUT }, () => ({ value, scriptPubKey: this.#script }));
      const fan = this.#spend(coinbase, outputs);
      await client.call('sendrawtransaction', [hexOf(fan), 0]);
      for (const [vout, output] of outputs.entries()) this.#coins.push({ ...output, txid: fan.txid, vout });
    }
    await this.#mine(client, 1);
    // The victim has the base before it mines blocks of its own.
    const victim = this.#start(true);
    await this.#untilSame(await victim.client(), client);
    await victim.kill();
  }

  /** Leaves the victim alone until all that it had confirmed was found; returns its height. */
  async #check(): Promise<number> {
    const life = this.#start();
    const client = await life.client();
    await this.#takeBack(client);
    for (const hash of this.#blocks) {
      const { hash: found } = (await client.call('getblock', [hash, 1])) as { hash: string };
      if (found !== hash) throw new Error(`the block ${hash} is another one`);
    }
    let missing: string[] = [...this.#payments];
    for (const end = Date.now() + PATIENCE_MS; missing.length > 0; ) {
      missing = await absent(client, missing);
      if (missing.length > 0 && Date.now() > end) throw new Error(`payments are forgotten: ${missing.join(' ')}`);
      if (missing.length > 0) await sleep(50);
    }
    const height = (await client.call('getblockcount')) as number;
    await life.kill();
    return height;
  }

  /** Lets both nodes come to one tip and compares what they have. */
  async #compare(): Promise<Omit<KillReport, 'kills' | 'killsBeforeReady'>> {
    const victim = await this.#start(true).client();
    const witness = await this.#witness.client();
    await this.#takeBack(victim);
    await this.#untilSame(victim, witness);
    const questions = [
      ['gettxoutsetinfo', []],
      ['getscriptcoins', [scriptHash(this.#script)]],
      ['getscripthistory', [scriptHash(this.#script)]],
      ['getblockchaininfo', []],
    ] as const;
    let hash = '';
    let height = 0;
    for (const [method, params] of questions) {
      const [a, b] = (await Promise.all([victim.call(method, params), witness.call(method, params)])) as Record<
        string,
        unknown
      >[];
      if (method === 'gettxoutsetinfo') [hash, height] = [String(a?.['hash_serialized_3']), Number(a?.['height'])];
      const [one, other] = [essence(a), essence(b)];
      if (one !== other) throw new Error(`${method} differs: ${difference(one, other)}`);
    }
    const counts = { blocksConfirmed: this.#blocks.size, paymentsConfirmed: this.#payments.size };
    return { ...counts, reorgs: this.#reorgs, hash, height };
  }

  /** Until both have one tip; a block more breaks a tie. */
  async #untilSame(a: RpcClient, b: RpcClient): Promise<void> {
    const tips = () => Promise.all([a.call('getbestblockhash'), b.call('getbestblockhash')]);
    for (const end = Date.now() + PATIENCE_MS; ; await sleep(50)) {
      const [one, other] = await tips();
      if (one === other) return;
      if (Date.now() > end) throw new Error(`the nodes do not come to one tip: ${one} and ${other}`);
      const heights = await Promise.all([a.call('getblockcount'), b.call('getblockcount')]);
      if (heights[0] === heights[1]) await this.#mine(b, 1);
    }
  }
}

/** Those of the payments that are neither in the pool nor in the chain. */
async function absent(client: RpcClient, txids: readonly string[]): Promise<string[]> {
  const missing: string[] = [];
  for (const txid of txids) {
    try {
      await client.call('getrawtransaction', [txid]);
    } catch (error) {
      if (!(error instanceof NodeRefusal)) throw error;
      missing.push(txid);
    }
  }
  return missing;
}

/** What must be equal: not how much room the blocks take, nor who has synced, and not what waits in the pool. */
function essence(answer: unknown): string {
  const different = ['size_on_disk', 'disk_size', 'initialblockdownload', 'verificationprogress', 'spentby'];
  return JSON.stringify(answer, (key, value) => {
    if (different.includes(key)) return undefined;
    if (!Array.isArray(value)) return value;
    return value.filter((item) => !isUnconfirmed(item));
  });
}

/** What surrounds the first place where two answers differ. */
function difference(one: string, other: string): string {
  let at = 0;
  while (one[at] === other[at]) at += 1;
  const near = (text: string) => text.slice(Math.max(0, at - 300), at + 300);
  return `${near(one)} is not ${near(other)}`;
}

function isUnconfirmed(item: unknown): boolean {
  const { confirmations, height } = item as { confirmations?: number; height?: number };
  return confirmations === 0 || height === 0 || height === -1;
}

function hexOf(tx: Transaction): string {
  return bytesToHex(encodeTransaction(tx));
}
