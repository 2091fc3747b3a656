/**
 * From nothing to one network: what each node is started with, the first blocks, and the wait until all nodes have them
 * and each other. The order of these steps is the supervisor's.
 */
import { bytesToHex } from '#hash';
import { type Block, encodeBlock } from '../consensus/block.ts';
import type { ChainParams } from '../consensus/params.ts';
import { CliError, Exit } from '../node/commands/cli.ts';
import type { DevnetFolder } from './folder.ts';
import type { Member } from './member.ts';
import type { Network } from './network.ts';
import type { DevnetOptions } from './options.ts';
import { freePorts, type PortPair } from './ports.ts';
import { listenUrl, type NodeSpec } from './processes.ts';
import type { SavedState } from './snapshots.ts';
import type { NodeStatus } from './status.ts';
import { dialPlan, expectedPeers } from './topology.ts';

const READY_TIMEOUT_MS = 60_000;
/** What was saved has this long to be as it was; then the devnet goes on as it is. */
const AS_SAVED_TIMEOUT_MS = 8000;

/** What the nodes n0, n1, … are started with. */
export async function nodeSpecs(
  options: DevnetOptions,
  params: ChainParams,
  folder: DevnetFolder,
  onNote: (text: string) => void,
): Promise<NodeSpec[]> {
  const { nodes, topology, seed } = options;
  const usual = firstPorts(options, params);
  const ports = await freePorts(usual, nodes);
  const rpcPorts = ports.map(({ rpc }) => rpc);
  if (rpcPorts.at(-1) !== usual.rpc + 2 * (nodes - 1) && options.firstPort === undefined) {
    onNote(`some of the usual ports are taken; the nodes answer RPC at ${rpcPorts.join(', ')}`);
  }
  return dialPlan(topology, nodes, seed).map((dials, index) => {
    const name = `n${index}`;
    return {
      name,
      network: params.name,
      datadir: folder.nodeDatadir(name),
      logFile: folder.nodeLog(name),
      ports: ports[index]!,
      connect: dials.map((target) => listenUrl(ports[target]!)),
      pex: topology.kind === 'pex',
    };
  });
}

/** Where the search for free ports begins. */
export function firstPorts({ firstPort }: DevnetOptions, params: ChainParams): PortPair {
  if (firstPort !== undefined) return { rpc: firstPort, listen: firstPort + 1 };
  const { defaultRpcPort: rpc, defaultPort: listen } = params;
  // Pairs are two apart: ports of a chain file that are an even number apart would be given to two nodes.
  return { rpc, listen: Math.abs(rpc - listen) % 2 === 0 ? rpc + 1 : listen };
}

/** Gives a node its first blocks in one request. The others get them from it, as they would anywhere. */
export async function submitChain(node: Member, blocks: readonly Block[]): Promise<void> {
  const answers = await node.rpc.batch(blocks.map((block) => ['submitblock', [bytesToHex(encodeBlock(block))]]));
  const refused = answers.findIndex((answer) => answer !== null && answer !== 'duplicate');
  if (refused < 0) return;
  const reason = String(answers[refused]);
  throw new CliError(Exit.refused, reason, `${node.name} refused block ${refused + 1} of the devnet: ${reason}`);
}

/** What every node has when a devnet is ready. */
export interface FirstChain {
  readonly height: number;
  /** Undefined where an earlier chain goes on. */
  readonly tip: string | undefined;
}

/**
 * Waits until every node has as many peers as the topology gives it and the `first` chain's tip as its own; or, where an
 * earlier chain goes on, a height that all have in common; or what was saved, where a snapshot was `loaded`.
 */
export async function waitUntilReady(
  network: Network,
  options: DevnetOptions,
  first: FirstChain,
  loaded?: SavedState,
): Promise<void> {
  const { topology, nodes, seed } = options;
  const expected = expectedPeers(topology, dialPlan(topology, nodes, seed));
  let common = 0;
  const hasChain = ({ height = 0, ...node }: NodeStatus) =>
    first.tip === undefined ? height >= first.height && height === common : node.tip === first.tip;
  // Up to the first that is not ready: nodes that are busy starting are not asked more than they must be.
  const isReady = async () => {
    for (const [index, member] of network.members.entries()) {
      if (!member.running) throw new CliError(Exit.failed, 'node-ended', `${member.name} ${member.lastExit}`);
      const node = await member.status();
      if (index === 0) common = node.height ?? 0;
      if (loaded !== undefined) {
        if (!isLinkedAs(node, loaded)) return false;
      } else if (!hasChain(node) || (node.peers ?? []).length < expected[index]!) return false;
    }
    return true;
  };
  if (await network.waitUntil(isReady, READY_TIMEOUT_MS)) {
    if (loaded !== undefined) await waitUntilAsSaved(network, loaded);
    return;
  }
  const states = (await network.statuses()).map(({ name, height, peers = [] }, index) => {
    return `${name} has height ${height ?? 'unknown'} and ${peers.length} of ${expected[index] ?? 'any'} peers`;
  });
  throw new CliError(
    Exit.timeout,
    'not-ready',
    `the nodes did not become one network within ${READY_TIMEOUT_MS / 1000} s: ${states.join('; ')}`,
    `the log of the first one is ${network.members[0]?.spec.logFile}`,
  );
}

/**
 * Waits a while for the nodes that run to be as they were: as high, with as many peers and payments. Saved payments are
 * judged anew, so that not all of them must come back: no error if they do not.
 */
export async function waitUntilAsSaved(network: Network, saved: SavedState): Promise<void> {
  const isAsSaved = async () =>
    (await network.statuses()).every(
      (node) => node.state === 'stopped' || (isLinkedAs(node, saved) && hasPoolAs(node, saved)),
    );
  await network.waitUntil(isAsSaved, AS_SAVED_TIMEOUT_MS);
}

function isLinkedAs({ name, height = 0, peers = [] }: NodeStatus, { nodes }: SavedState): boolean {
  const was = nodes.find((node) => node.name === name);
  return height >= (was?.height ?? 0) && peers.length >= (was?.peers.length ?? 0);
}

function hasPoolAs({ name, mempool = 0 }: NodeStatus, { nodes }: SavedState): boolean {
  return mempool >= (nodes.find((node) => node.name === name)?.mempool ?? 0);
}
