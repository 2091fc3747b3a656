/**
 * A node under attack on real sockets, between two honest ones: a payment gets through, honest links stand, what is held for
 * each peer is bounded and shown, and whoever breaks a rule is gone. `npm run bench -- attack` plays all attacks and measures.
 */
import { readFileSync } from 'node:fs';
import { afterEach, expect, test } from '@jest/globals';
import { bytesToHex } from '#hash';
import { AttackLine } from '../../bench/attack-line.ts';
import { attackHost, attacks, isFabricated } from '../../bench/attacks.ts';
import { encodeAddress } from '../../consensus/address.ts';
import { type Block, readBlock } from '../../consensus/block.ts';
import type { BlockHash } from '../../consensus/brand.ts';
import { decode } from '../../consensus/codec.ts';
import { regtest } from '../../consensus/params.ts';
import { encodeTransaction, type Transaction } from '../../consensus/transaction.ts';
import { localLimits } from '../../node/limits.ts';
import { SeededRandom } from '../../node/random.ts';
import { outputOf, pay, spend, testKey } from '../support/chain-builder.ts';
import { eventually, NodeProcess } from '../support/node-process.ts';
import { temporaryFolders } from '../support/temporary-folder.ts';

const newFolder = temporaryFolders();
const miner = testKey(1);
/** What waits to be sent and one answer more; what was read in part and two pieces; a full getdata; what it knows. */
const MOST_BYTES_PER_PEER = 2 * localLimits.maxSendBufferBytes + localLimits.maxMessageBytes + 8_000_000;
const MOST_MEGABYTES = 500;
const PATIENCE_MS = 5000;
const ATTACK_MS = 1000;

// Other systems have one loopback address only.
const several = process.platform === 'linux' ? test : test.skip;

interface Peer {
  readonly id: number;
  readonly addr: string;
  readonly memory: number;
}

const lines = new Set<AttackLine>();
afterEach(() => {
  for (const line of lines) line.leave();
  lines.clear();
});

/** Opens the sockets of an attack; returns a way to see how many of them the node has ended. */
function attack(name: string, port: number, blocks: readonly BlockHash[], count: number): () => number {
  const number = Object.keys(attacks).indexOf(name);
  const { carriers, play } = attacks[name] as (typeof attacks)[string];
  const begin = play({ blocks }, new SeededRandom(name));
  let ended = 0;
  for (let lane = 0; lane < count; lane++) {
    const line = new AttackLine({
      carrier: carriers[lane % carriers.length] as 'tcp' | 'ws',
      port,
      from: attackHost(number, lane),
      onOpen: begin,
      onEnd: (_, opened, left) => {
        if (opened && !left) ended++;
      },
    });
    lines.add(line);
  }
  return () => ended;
}

async function leaveAll(hub: NodeProcess): Promise<void> {
  for (const line of lines) line.leave();
  lines.clear();
  await eventually(
    () => hub.call<Peer[]>('getpeerinfo'),
    (peers) => peers.every(({ addr }) => !isFabricated(addr)),
  );
}

function residentMegabytes(pid: number): number {
  return Number(/^VmRSS:\s+(\d+) kB$/m.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))?.[1]) / 1024;
}

several(
  'honest peers are served while others say nothing, never end, never read and cut everything small',
  async () => {
    const hub = await NodeProcess.start(newFolder());
    const given = ['--no-pex', '--connect', `ws://127.0.0.1:${hub.peerPort}`];
    const [from, to] = await Promise.all([0, 1].map(() => NodeProcess.start(newFolder(), ...given)));
    if (from === undefined || to === undefined) throw new Error('two nodes were started');
    const address = encodeAddress(miner.publicKey, regtest.hrp);
    const hashes = await from.call<BlockHash[]>('generatetoaddress', 108, address);
    const tipOf = (node: NodeProcess) => () => node.call<string>('getbestblockhash');
    await eventually(tipOf(to), (tip) => tip === hashes.at(-1));
    const linksOf = async () => {
      const links = await Promise.all([from, to].map((node) => node.call<Peer[]>('getpeerinfo')));
      return links.map((peers) => peers.map(({ id }) => id));
    };
    const before = await linksOf();

    const played: readonly (readonly [name: string, count: number, dropped: boolean])[] = [
      ['unread', 24, false],
      ['unfinished', 24, false],
      ['bytes', 8, false],
      ['fragments', 8, true],
      ['oversized-ws', 8, true],
      ['half-upgrades', 150, false],
      ['half-handshakes', 150, false],
    ];
    for (const [height, [name, count, dropped]] of played.entries()) {
      const ended = attack(name, hub.peerPort, hashes, count);
      const end = performance.now() + ATTACK_MS;
      const hex = await from.call<string>('getblock', hashes[height], 0);
      const block = decode(Uint8Array.from(Buffer.from(hex, 'hex')), readBlock);
      if (!block.ok) throw new Error(block.error);
      const coin = outputOf((block.value as Block).transactions[0] as Transaction, 0, miner);
      const tx = spend([coin], [pay(miner, coin.value - 1000n)]);
      await from.call('sendrawtransaction', bytesToHex(encodeTransaction(tx)));
      await eventually(
        () => to.call<string[]>('getrawmempool'),
        (pool) => pool.includes(tx.txid),
        PATIENCE_MS,
      );
      const [hash] = await from.call<string[]>('generatetoaddress', 1, address);
      await eventually(tipOf(to), (tip) => tip === hash, PATIENCE_MS);
      let peers: Peer[] = [];
      while (performance.now() < end) {
        peers = await hub.call<Peer[]>('getpeerinfo');
        for (const { memory } of peers) expect(memory).toBeLessThan(MOST_BYTES_PER_PEER);
        expect(residentMegabytes(hub.ready.pid)).toBeLessThan(MOST_MEGABYTES);
        await new Promise((resolve) => setTimeout(resolve, 50));
      }
      // The last one to go for a newcomer may still be on its way out.
      expect(peers.length).toBeLessThanOrEqual(localLimits.maxInbound + 1);
      if (dropped)
        await eventually(
          async () => ended(),
          (gone) => gone === count,
        );
      await leaveAll(hub);
      expect(await linksOf()).toEqual(before);
    }
  },
  60_000,
);
