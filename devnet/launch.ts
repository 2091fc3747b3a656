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
import { freePorts } from './ports.ts';
import { listenUrl, type NodeSpec } from './processes.ts';
import type { NodeStatus } from './status.ts';
import { dialPlan, expectedPeers } from './topology.ts';

const READY_TIMEOUT_MS = 60_000;

/** What the nodes n0, n1, … are started with. */
export async function nodeSpecs(
  options: DevnetOptions,
  params: ChainParams,
  folder: DevnetFolder,
  onNote: (text: string) => void,
): Promise<NodeSpec[]> {
  const { nodes, topology, seed } = options;
  const usual = { rpc: params.defaultRpcPort, listen: params.defaultPort };
  const ports = await freePorts(usual, nodes);
  const rpcPorts = ports.map(({ rpc }) => rpc);
  if (rpcPorts.at(-1) !== usual.rpc + 2 * (nodes - 1)) {
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

/** Gives a node its first blocks in one request. The others get them from it, as they would anywhere. */
export async function submitChain(node: Member, blocks: readonly Block[]): Promise<void> {
  const answers = await node.rpc.batch(blocks.map((block) => ['submitblock', [bytesToHex(encodeBlock(block))]]));
  const refused = answers.findIndex((answer) => answer !== null && answer !== 'duplicate');
  if (refused < 0) return;
  const reason = String(answers[refused]);
  throw new CliError(Exit.refused, reason, `${node.name} refused block ${refused + 1} of the devnet: ${reason}`);
}

/**
 * Waits until every node has as many peers as the topology gives it and the last of `blocks` as its tip; or, where an
 * earlier chain goes on, a height that all have in common.
 */
export async function waitUntilReady(
  network: Network,
  options: DevnetOptions,
  blocks: readonly Block[],
  continued: boolean,
): Promise<void> {
  const { topology, nodes, seed } = options;
  const expected = expectedPeers(topology, dialPlan(topology, nodes, seed));
  const tip = blocks.at(-1)!.header.hash;
  let common = 0;
  const hasChain = ({ height = 0, ...node }: NodeStatus) =>
    continued ? height >= blocks.length && height === common : node.tip === tip;
  // Up to the first that is not ready: nodes that are busy starting are not asked more than they must be.
  const isReady = async () => {
    for (const [index, member] of network.members.entries()) {
      if (!member.running) throw new CliError(Exit.failed, 'node-ended', `${member.name} ${member.lastExit}`);
      const node = await member.status();
      if (index === 0) common = node.height ?? 0;
      if (!hasChain(node) || (node.peers ?? []).length < expected[index]!) return false;
    }
    return true;
  };
  if (await network.waitUntil(isReady, READY_TIMEOUT_MS)) return;
  const states = (await network.statuses()).map(({ name, height, peers = [] }, index) => {
    return `${name} has height ${height ?? 'unknown'} and ${peers.length} of ${expected[index]} peers`;
  });
  throw new CliError(
    Exit.timeout,
    'not-ready',
    `the nodes did not become one network within ${READY_TIMEOUT_MS / 1000} s: ${states.join('; ')}`,
    `the log of the first one is ${network.members[0]?.spec.logFile}`,
  );
}
