/** From the start of a node's process to its first RPC answer, on a data directory with few headers and with many. */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type HeaderFields, type MerkleRoot, makeHeader } from '../consensus/block.ts';
import { regtest } from '../consensus/params.ts';
import { checkProofOfWork } from '../consensus/pow.ts';
import { openChain, openDirectory } from './disk-chain.ts';
import { figure, median } from './figures.ts';
import { startNode, stopNode } from './node-process.ts';

export const about = 'start to first RPC answer of a node that has 0 or 100,000 headers';

const CASES = [
  { headers: 0, aimSeconds: 0.45 },
  { headers: 100_000, aimSeconds: 1.5 },
];
const RUNS = 5;
const SPACING_SECONDS = 60;
/** Nobody has the bodies, so nobody knows better. */
const MERKLE_ROOT = '0'.repeat(64) as MerkleRoot;

export async function run(): Promise<void> {
  const folder = mkdtempSync(join(tmpdir(), 'grapevine-bench-'));
  try {
    for (const { headers } of CASES) await putHeaders(join(folder, String(headers)), headers);
    const seconds = CASES.map((): number[] => []);
    for (let i = 0; i < RUNS; i++) {
      for (const [at, { headers }] of CASES.entries()) {
        seconds[at]?.push(await startSeconds(join(folder, String(headers)), headers));
      }
    }
    for (const [at, { headers, aimSeconds }] of CASES.entries()) {
      const against = `aim ${aimSeconds} s; ${RUNS} runs`;
      figure(`start with ${headers} headers, median`, median(seconds[at] as number[]), 's', against);
    }
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

async function startSeconds(datadir: string, headers: number): Promise<number> {
  const began = performance.now();
  const node = await startNode(datadir);
  try {
    const info = (await node.client.call('getblockchaininfo')) as { headers: number };
    const took = performance.now() - began;
    if (info.headers !== headers) throw new Error(`the node has ${info.headers} headers, not ${headers}`);
    return took / 1000;
  } finally {
    await stopNode(node);
  }
}

/** Makes a data directory with so many headers above genesis, none of which has a body. */
async function putHeaders(datadir: string, count: number): Promise<void> {
  const directory = await openDirectory(datadir);
  try {
    const { tree, chain } = await openChain(directory);
    for (let i = 0; i < count; i++) {
      const { hash, time } = tree.best.header;
      const header = mine({
        version: 0x20000000,
        prevHash: hash,
        merkleRoot: MERKLE_ROOT,
        time: time + SPACING_SECONDS,
        bits: regtest.powLimitBits,
        nonce: 0,
      });
      const added = tree.add(header, header.time);
      if (!added.ok) throw new Error(`a header is refused: ${added.error.code}`);
    }
    chain.saveHeaders();
  } finally {
    await directory.close();
  }
}

/** Finds a nonce: two tries on average. */
function mine(fields: HeaderFields): ReturnType<typeof makeHeader> {
  for (let nonce = fields.nonce; ; nonce++) {
    const header = makeHeader({ ...fields, nonce });
    if (checkProofOfWork(header.hash, header.bits, regtest)) return header;
  }
}
