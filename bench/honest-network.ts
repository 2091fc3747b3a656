/**
 * A small honest network of real processes, and steady traffic over it: some nodes that are linked with one in the middle
 * alone, so that whatever one of them tells the others goes through that one. Owns the processes and their folder.
 */
import { closeSync, fstatSync, mkdtempSync, openSync, readSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { bytesToHex } from '#hash';
import { encodeAddress } from '../consensus/address.ts';
import type { BlockHash } from '../consensus/brand.ts';
import { regtest } from '../consensus/params.ts';
import { encodeTransaction } from '../consensus/transaction.ts';
import type { RpcClient } from '../wallet/rpc-client.ts';
import { type BenchCoin, COIN_SCRIPT, coinChain, payOn, submitBlocks } from './coins.ts';
import { sleep } from './figures.ts';
import { type RunningNode, startLoggedNode, stopNode } from './node-process.ts';

const SPOKES = 3;
const COINS = 4000;
/** More than the 144 blocks of work behind the tip below which branches do not count. */
const MORE_BLOCKS = 200;
const PATIENCE_MS = 10_000;
const POLL_MS = 2;
/** Between two acts of the traffic. */
const PAUSE_MS = 40;
const PAYMENTS_PER_BLOCK = 3;
const MAX_LOG_READ = 64 * 1024 * 1024;
const MINER = encodeAddress(COIN_SCRIPT.subarray(2), regtest.hrp);

export interface PeerInfo {
  readonly id: number;
  readonly addr: string;
  readonly inbound: boolean;
  readonly connection_type: string;
  readonly memory: number;
}

export interface LogLine {
  readonly message: string;
  readonly reason?: string;
}

/** Milliseconds that payments and blocks have taken to reach all. */
export interface Latencies {
  readonly payments: number[];
  readonly blocks: number[];
}

export class HonestNetwork {
  /** The one in the middle. */
  readonly hub: RunningNode;
  readonly hubPort: number;
  readonly spokes: readonly RunningNode[];
  /** The largest blocks first. */
  readonly largeBlocks: readonly BlockHash[];
  readonly #log: number;
  #logRead = 0;
  #coins: BenchCoin[];
  /** Ids of the links of the spokes with the hub, as these number them. */
  #links: readonly (number | undefined)[] = [];

  /** Everything stands and has one tip. `nodes` has what was started, also if this rejects. */
  static async start(folder: string, nodes: RunningNode[], stop: AbortSignal): Promise<HonestNetwork> {
    const log = openSync(join(folder, 'hub.log'), 'a+');
    const hub = await startLoggedNode(log, join(folder, 'hub'));
    nodes.push(hub);
    stop.throwIfAborted();
    const port = await peerPort(hub);
    const { blocks, coins } = coinChain(COINS);
    await submitBlocks(hub.client, blocks);
    await hub.client.call('generatetoaddress', [MORE_BLOCKS, MINER]);
    const largest = [...blocks].sort((a, b) => b.transactions.length - a.transactions.length);
    const given = ['--connect', `ws://127.0.0.1:${port}`];
    const spokes: RunningNode[] = [];
    for (let i = 0; i < SPOKES; i++) {
      const spoke = await startLoggedNode('ignore', join(folder, `spoke${i}`), ...given);
      nodes.push(spoke);
      spokes.push(spoke);
      stop.throwIfAborted();
    }
    // Whatever is learned of the others, nothing leads around the hub.
    const endpoints = await Promise.all(spokes.map(async (spoke) => `127.0.0.1:${await peerPort(spoke)}`));
    for (const { client } of spokes) await client.call('setdeny', [{ endpoints }]);
    const largeBlocks = largest.map(({ header }) => header.hash);
    const network = new HonestNetwork({ log, hub, port, spokes, largeBlocks, coins: [...coins] });
    await network.untilAgreed(3 * PATIENCE_MS);
    network.#links = await network.#linkIds();
    return network;
  }

  private constructor(parts: {
    readonly log: number;
    readonly hub: RunningNode;
    readonly port: number;
    readonly spokes: readonly RunningNode[];
    readonly largeBlocks: readonly BlockHash[];
    readonly coins: BenchCoin[];
  }) {
    this.#log = parts.log;
    this.hub = parts.hub;
    this.hubPort = parts.port;
    this.spokes = parts.spokes;
    this.largeBlocks = parts.largeBlocks;
    this.#coins = parts.coins;
  }

  get nodes(): readonly RunningNode[] {
    return [this.hub, ...this.spokes];
  }

  /** What the hub has logged since the last call, a value for each line; and how many bytes that is. */
  takeLog(): { readonly bytes: number; readonly lines: readonly LogLine[] } {
    const bytes = fstatSync(this.#log).size - this.#logRead;
    // It can be as long as an attacker likes.
    const read = Buffer.alloc(Math.min(bytes, MAX_LOG_READ));
    readSync(this.#log, read, 0, read.length, this.#logRead);
    this.#logRead += bytes;
    const whole = read.subarray(0, read.lastIndexOf(10) + 1).toString();
    return { bytes, lines: whole.split('\n').flatMap((line) => (line === '' ? [] : [JSON.parse(line) as LogLine])) };
  }

  /** Pays and mines in turn until `isOver`. Throws where something does not reach all in time. */
  async traffic(isOver: () => boolean): Promise<Latencies> {
    const latencies: Latencies = { payments: [], blocks: [] };
    for (let act = 0; !isOver(); act++) {
      const from = this.spokes[act % SPOKES] as RunningNode;
      if (act % (PAYMENTS_PER_BLOCK + 1) === PAYMENTS_PER_BLOCK) latencies.blocks.push(await this.#block(from));
      else latencies.payments.push(await this.#payment(from));
      await sleep(PAUSE_MS);
    }
    return latencies;
  }

  /** Spokes whose link with the hub is not the one that it was in the beginning. */
  async lostLinks(): Promise<number> {
    const now = await this.#linkIds();
    return now.filter((id, place) => id === undefined || id !== this.#links[place]).length;
  }

  /** Resolves once all nodes have one tip; throws where they do not come to that in time. */
  async untilAgreed(patienceMs = PATIENCE_MS): Promise<void> {
    for (const end = performance.now() + patienceMs; ; await sleep(20)) {
      const tips = new Set(await Promise.all(this.nodes.map(({ client }) => client.call('getbestblockhash'))));
      if (tips.size === 1) return;
      if (performance.now() > end) throw new Error(`the nodes have ${tips.size} tips`);
    }
  }

  close(): void {
    closeSync(this.#log);
  }

  async #payment({ client }: RunningNode): Promise<number> {
    const coin = this.#coins.shift();
    if (coin === undefined) throw new Error('there is no coin left');
    const tx = payOn(coin);
    const [output] = tx.outputs;
    if (output !== undefined) this.#coins.push({ ...output, txid: tx.txid, vout: 0 });
    const hex = bytesToHex(encodeTransaction(tx));
    const began = performance.now();
    await client.call('sendrawtransaction', [hex]);
    await this.#all(async (other) => ((await other.call('getrawmempool')) as unknown[]).includes(tx.txid), 'a payment');
    return performance.now() - began;
  }

  async #block({ client }: RunningNode): Promise<number> {
    const began = performance.now();
    const [hash] = (await client.call('generatetoaddress', [1, MINER])) as string[];
    await this.#all(async (other) => (await other.call('getbestblockhash')) === hash, 'a block');
    return performance.now() - began;
  }

  async #all(holds: (client: RpcClient) => Promise<boolean>, what: string): Promise<void> {
    const end = performance.now() + PATIENCE_MS;
    await Promise.all(
      this.spokes.map(async ({ client }) => {
        while (!(await holds(client))) {
          if (performance.now() > end) throw new Error(`${what} did not reach all within ${PATIENCE_MS / 1000} s`);
          await sleep(POLL_MS);
        }
      }),
    );
  }

  async #linkIds(): Promise<(number | undefined)[]> {
    const ids: (number | undefined)[] = [];
    for (const { client } of this.spokes) {
      const peers = (await client.call('getpeerinfo')) as PeerInfo[];
      ids.push(peers.find(({ connection_type: type }) => type === 'manual')?.id);
    }
    return ids;
  }
}

/**
 * Runs that on a network of its own, and ends all of it afterwards, whatever happens. Where `stop` is aborted it rejects,
 * once nothing is left.
 */
export async function withHonestNetwork(
  stop: AbortSignal,
  body: (network: HonestNetwork) => Promise<void>,
): Promise<void> {
  const folder = mkdtempSync(join(tmpdir(), 'grapevine-bench-'));
  const nodes: RunningNode[] = [];
  let network: HonestNetwork | undefined;
  const work = async () => {
    network = await HonestNetwork.start(folder, nodes, stop);
    await body(network);
  };
  const aborted = new Promise<never>((_, reject) => {
    stop.addEventListener('abort', () => reject(stop.reason));
  });
  const working = work();
  try {
    await Promise.race([working, aborted]);
  } finally {
    await Promise.all(nodes.map(stopNode));
    // Where it was aborted, a node may just have been starting; anything else fails without its node.
    await working.catch(() => undefined);
    await Promise.all(nodes.map(stopNode));
    network?.close();
    rmSync(folder, { recursive: true, force: true });
  }
}

async function peerPort({ client }: RunningNode): Promise<number> {
  const { localaddresses } = (await client.call('getnetworkinfo')) as { localaddresses: { port: number }[] };
  const port = localaddresses[0]?.port;
  if (port === undefined) throw new Error('the node does not say where it listens');
  return port;
}
