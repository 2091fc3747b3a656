/**
 * Saving and loading a running devnet. Its nodes are stopped in order, so that all they know is in their files, and
 * started again afterwards; meanwhile nothing is mined and no other command disturbs them. What the files do not hold
 * (partition, slow links, who ran) stands in the manifest and is told to the nodes before they meet each other.
 */
import { type ChainParams, regtest } from '../consensus/params.ts';
import { CliError, Exit } from '../node/commands/cli.ts';
import type { BlockProduction } from './block-production.ts';
import type { DevnetClock } from './devnet-clock.ts';
import type { DevnetFolder } from './folder.ts';
import { firstPorts, waitUntilAsSaved } from './launch.ts';
import { interrupted, type Network } from './network.ts';
import type { DevnetOptions } from './options.ts';
import { freePorts, type PortPair } from './ports.ts';
import { listenUrl, type NodeSpec } from './processes.ts';
import {
  checkNewSnapshot,
  openSnapshot,
  type SavedNode,
  type SavedState,
  type Snapshot,
  type SnapshotSummary,
  stageSnapshot,
  writeSnapshot,
} from './snapshots.ts';
import type { NodeStatus } from './status.ts';

/** The parts of a running devnet, which the supervisor owns. */
export interface SnapshotParts {
  readonly options: DevnetOptions;
  readonly params: ChainParams;
  readonly folder: DevnetFolder;
  readonly production: BlockProduction;
  readonly clock: DevnetClock;
  network(): Network;
  /** A network of these nodes in place of the one that was stopped. Throws while the devnet is being stopped. */
  replaceNetwork(specs: readonly NodeSpec[]): Network;
  /** Something that devnet.json says has changed. */
  onChange(): void;
}

export interface LoadResult {
  readonly name: string;
  readonly savedAt: string;
  readonly nodes: readonly NodeStatus[];
}

export class SnapshotOperations {
  readonly #parts: SnapshotParts;
  #busy: 'saving' | 'loading' | undefined;

  constructor(parts: SnapshotParts) {
    this.#parts = parts;
  }

  /** While one of the two is under way. */
  get busy(): 'saving' | 'loading' | undefined {
    return this.#busy;
  }

  /** Puts the devnet aside under that name; it goes on afterwards. */
  async save(name: string, force: boolean): Promise<SnapshotSummary> {
    const { datadir } = this.#parts.options;
    checkNewSnapshot(datadir, name, force);
    return this.#while('saving', async () => {
      const network = this.#parts.network();
      const state = this.#state(await network.statuses());
      const running = network.running;
      await Promise.all(running.map((member) => member.stop()));
      let summary: SnapshotSummary;
      try {
        summary = await writeSnapshot(datadir, name, this.#parts.folder, state, new Date());
      } finally {
        // Whether it was saved or not: the devnet goes on.
        await Promise.all(running.map((member) => network.start(member)));
      }
      await waitUntilAsSaved(network, state);
      return summary;
    });
  }

  /** Puts what was saved in the place of what there is. Nothing is touched before all of the snapshot is known to be good. */
  async load(name: string): Promise<LoadResult> {
    const { options, folder } = this.#parts;
    const snapshot = openSnapshot(options.datadir, name);
    this.#checkFits(snapshot);
    return this.#while('loading', async () => {
      await stageSnapshot(snapshot, folder.stage);
      await this.#exchange(snapshot);
      const nodes = await this.#parts.network().statuses();
      return { name, savedAt: snapshot.manifest.savedAt, nodes };
    });
  }

  async #exchange({ manifest: { state } }: Snapshot): Promise<void> {
    const { folder, clock } = this.#parts;
    const old = this.#parts.network();
    const ports = new Map(old.members.map(({ name, spec }) => [name, spec.ports]));
    const missing = state.nodes.filter(({ name }) => !ports.has(name));
    for (const [index, pair] of (await this.#morePorts([...ports.values()], missing.length)).entries()) {
      ports.set(missing[index]!.name, pair);
    }
    await old.stop();
    const network = this.#parts.replaceNetwork(savedSpecs(state.nodes, ports, this.#parts.params, folder));
    putInPlace(folder, state);
    clock.load(folder.readClock());
    network.restore(state.sides, state.links);
    const running = state.nodes.filter(({ running }) => running).map(({ name }) => network.member(name));
    await Promise.all(running.map((member) => network.start(member)));
    // They are told of all that now: the next start is one like any other.
    folder.forgetLoaded();
    await waitUntilAsSaved(network, state);
  }

  async #while<T>(what: 'saving' | 'loading', work: () => Promise<T>): Promise<T> {
    if (this.#busy !== undefined) {
      throw new CliError(Exit.failed, `devnet-${this.#busy}`, `the devnet is ${this.#busy} already`, 'try again soon');
    }
    this.#busy = what;
    try {
      return await this.#parts.production.pausedFor(() => this.#parts.network().alone(work));
    } finally {
      this.#busy = undefined;
      this.#parts.onChange();
    }
  }

  #state(nodes: readonly NodeStatus[]): SavedState {
    const { options, params, clock } = this.#parts;
    const network = this.#parts.network();
    const names = new Map(network.members.map(({ name, spec }) => [listenUrl(spec.ports), name]));
    return {
      devnet: options.name,
      network: params.name,
      ...(options.chain === undefined ? {} : { chain: options.chain, genesis: params.genesis.header.hash }),
      seed: options.seed,
      accounts: options.accounts,
      baseNodes: options.nodes,
      topology: options.topology,
      nodes: nodes.map(({ name, state, height, tip, peers, mempool }): SavedNode => {
        const { connect, pex } = network.member(name).spec;
        return {
          name,
          running: state !== 'stopped',
          connect: connect.flatMap((url) => names.get(url) ?? []),
          pex,
          height: height ?? null,
          tip: tip ?? null,
          peers: peers ?? [],
          mempool: mempool ?? 0,
        };
      }),
      sides: network.sides,
      links: network.slowLinks,
      clock: clock.setting,
    };
  }

  /** The accounts' keys and the first blocks follow from these: they must be the same. */
  #checkFits({ name, manifest: { state } }: Snapshot): void {
    const { options, params } = this.#parts;
    const fits =
      state.network === params.name &&
      (state.genesis ?? regtest.genesis.header.hash) === params.genesis.header.hash &&
      state.seed === options.seed &&
      state.accounts === options.accounts &&
      state.baseNodes === options.nodes;
    if (fits) return;
    const what = `${state.network}, seed ${state.seed}, ${state.baseNodes} nodes, ${state.accounts} accounts`;
    throw new CliError(
      Exit.failed,
      'snapshot-of-another',
      `snapshot "${name}" is of another devnet (${what}) than the one that runs`,
      `stop this one and start that one: grapevine devnet down, then grapevine devnet up --load ${name}`,
    );
  }

  async #morePorts(taken: readonly PortPair[], count: number): Promise<PortPair[]> {
    if (count === 0) return [];
    const { options, params } = this.#parts;
    const first = taken.reduce((last, ports) => (ports.rpc > last.rpc ? ports : last), firstPorts(options, params));
    return freePorts({ rpc: first.rpc + 2, listen: first.listen + 2 }, count);
  }
}

/** What the saved nodes are started with, at these ports. */
export function savedSpecs(
  nodes: readonly SavedNode[],
  ports: ReadonlyMap<string, PortPair>,
  params: ChainParams,
  folder: DevnetFolder,
): NodeSpec[] {
  const portsOf = (name: string) => {
    const pair = ports.get(name);
    if (pair === undefined) throw new Error(`${name} has no ports`);
    return pair;
  };
  return nodes.map(({ name, connect, pex }) => ({
    name,
    network: params.name,
    datadir: folder.nodeDatadir(name),
    logFile: folder.nodeLog(name),
    ports: portsOf(name),
    connect: connect.filter((other) => ports.has(other)).map((other) => listenUrl(portsOf(other))),
    pex,
  }));
}

/** Puts staged files in the place of a devnet that does not run, with what the next start needs to know. */
export function putInPlace(folder: DevnetFolder, state: SavedState): void {
  folder.adoptStage();
  folder.writeClock(state.clock);
  folder.writeLoaded(state);
  folder.writeChain(state.chain?.file);
  const { network, genesis, seed, accounts, baseNodes } = state;
  // Last, because it says that all of the chain and its wallets are there.
  folder.writeShape({ schema: 1, network, genesis, seed, nodes: baseNodes, accounts });
}

/** Puts a snapshot in the place of a devnet that does not run. Only for whoever owns the folder. */
export async function restoreStopped(
  snapshot: Snapshot,
  folder: DevnetFolder,
  isStopping: () => boolean,
): Promise<void> {
  await stageSnapshot(snapshot, folder.stage);
  if (isStopping()) throw interrupted();
  putInPlace(folder, snapshot.manifest.state);
}
