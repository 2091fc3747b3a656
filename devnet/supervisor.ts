/**
 * A running devnet, from the claim on its folder to the end of its last node: starts the nodes, gives them their first
 * blocks, mines, writes devnet.json, and answers the commands. Owns the accounts' keys and the control endpoint; the nodes
 * belong to network.ts. What is printed, and where, is the caller's choice.
 */
import { randomBytes } from 'node:crypto';
import type { Block } from '../consensus/block.ts';
import type { ChainParams } from '../consensus/params.ts';
import { CliError, Exit, readChainFile } from '../node/commands/cli.ts';
import {
  DEFAULT_DEVNET,
  DEVNET_SCHEMA,
  type DevnetAccount,
  type DevnetFile,
  devnetWalletPath,
  runningDevnets,
  writeDevnetFile,
} from '../wallet/devnet-file.ts';
import { writeDevnetWallet } from '../wallet/keystore.ts';
import { type AccountKeys, deriveAccounts, FAUCET } from './accounts.ts';
import { readBalances } from './balances.ts';
import { BlockProduction, describeMining } from './block-production.ts';
import { carryOut } from './calls.ts';
import { chosenNetwork, costsWork } from './chain-choice.ts';
import { ControlServer } from './control.ts';
import { DevnetClock } from './devnet-clock.ts';
import { type DevnetEvent, EventFilter } from './events.ts';
import { DevnetFolder, type Shape } from './folder.ts';
import { type FirstChain, nodeSpecs, submitChain, waitUntilReady } from './launch.ts';
import type { LinkOrder, SlowLink } from './links.ts';
import { Member, type MemberWatcher } from './member.ts';
import { Miners } from './miners.ts';
import { interrupted, Network } from './network.ts';
import { Operations } from './operations.ts';
import type { DevnetOptions } from './options.ts';
import type { Sides } from './partition.ts';
import { premine, premineHeight } from './premine.ts';
import type { LogLine, NodeSpec } from './processes.ts';
import { type ReadyReport, readyReport } from './report.ts';
import { giveOutRewardKeys, type RewardKey, rewardKeys } from './rewards.ts';
import { restoreStopped, SnapshotOperations, savedSpecs } from './snapshot-operations.ts';
import { openSnapshot, type SavedState } from './snapshots.ts';
import type { DevnetStatus, NodeStatus } from './status.ts';
import { describeTopology } from './topology.ts';
import type { WorkPremine } from './work-premine.ts';
import { WorkWatch } from './work-watch.ts';

/** Times that everything is started anew because another program took a port between the look and the use. */
const MAX_PORT_ATTEMPTS = 3;

export interface DevnetHooks {
  /** This process is the one that runs the devnet; nothing has been started yet. */
  readonly onClaimed: () => void;
  /** Every node has ended and this process does not run the devnet any more. */
  readonly onReleased: () => void;
  /** Remarks for people before the devnet is ready. */
  readonly onNote: (text: string) => void;
  /** What happens once it is ready. */
  readonly onEvent: (event: DevnetEvent) => void;
}

/** In the order in which they are printed. */
interface Keys {
  readonly accounts: readonly AccountKeys[];
  readonly faucet: AccountKeys;
}

export class Devnet {
  readonly options: DevnetOptions;
  /** Resolves when every node has ended and the control endpoint is closed, whoever asked for it. */
  readonly finished: Promise<void>;
  /** What can be done to it once it is ready. */
  readonly operations: Operations;
  /** Saving it, and loading what was saved. */
  readonly snapshots: SnapshotOperations;
  readonly #params: ChainParams;
  readonly #folder: DevnetFolder;
  readonly #hooks: DevnetHooks;
  readonly #filter = new EventFilter();
  readonly #production: BlockProduction;
  readonly #clock: DevnetClock;
  #network = new Network([]);
  #keys: Keys | undefined;
  /** Where blocks cost work: who mines, what the nodes' blocks are known by, and the first blocks while they are made. */
  readonly #miners: Miners | undefined;
  #rewards: readonly RewardKey[] = [];
  readonly #watch: WorkWatch | undefined;
  #premine: WorkPremine | undefined;
  #control: ControlServer | undefined;
  #owned = false;
  /** True where the chain of an earlier run goes on. */
  #continued = false;
  #ready = false;
  #stopping: Promise<number> | undefined;
  #finish: () => void = () => undefined;

  constructor(options: DevnetOptions, hooks: DevnetHooks) {
    this.options = options;
    this.#params = chosenNetwork(options.chain);
    this.#folder = new DevnetFolder(options.datadir, options.name);
    this.#hooks = hooks;
    this.finished = new Promise((resolve) => {
      this.#finish = resolve;
    });
    const miners = options.mining.kind === 'work' ? options.mining.miners : [];
    if (costsWork(this.#params)) {
      this.#miners = new Miners({
        miners,
        network: () => this.#network,
        address: (node) =>
          this.#rewards.find((reward) => reward.node === node)?.address ?? this.#derived().faucet.address,
      });
      this.#watch = new WorkWatch(this.#params, premineHeight(options.accounts), miners, () => this.#rewards);
    }
    this.#production = new BlockProduction(
      options.mining,
      { sides: () => this.#network.answeringSides, mine: (node) => this.#mine(node) },
      this.#miners,
    );
    this.#clock = new DevnetClock(
      () => this.#network,
      (setting) => this.#folder.writeClock(setting),
    );
    this.operations = new Operations({
      options,
      params: this.#params,
      production: this.#production,
      clock: this.#clock,
      network: () => this.#network,
      accounts: () => this.#walletAccounts(),
      places: (name) => ({
        datadir: this.#folder.nodeDatadir(name),
        logFile: this.#folder.nodeLog(name),
        chainFile: this.#chainFile,
      }),
      watcher: () => this.#watcher(),
      onChange: () => this.#writeAgain(),
    });
    this.snapshots = new SnapshotOperations({
      options,
      params: this.#params,
      folder: this.#folder,
      production: this.#production,
      clock: this.#clock,
      network: () => this.#network,
      replaceNetwork: (specs) => this.#setNetwork(specs),
      onChange: () => {
        if (this.phase === 'ready') this.#writeAgain();
      },
    });
  }

  get phase(): 'starting' | 'ready' | 'saving' | 'loading' | 'stopping' {
    if (this.#stopping !== undefined) return 'stopping';
    return this.#ready ? (this.snapshots.busy ?? 'ready') : 'starting';
  }

  /** Resolves when the devnet is ready; otherwise everything is stopped again and the error says why. */
  async up(): Promise<ReadyReport> {
    try {
      await this.#claim();
      return await this.#bringUp();
    } catch (error) {
      const wasStopped = this.phase === 'stopping';
      await this.stop();
      throw wasStopped ? interrupted() : error;
    }
  }

  /** Ends all nodes and forgets that the devnet ran. Its data stays. Resolves with the number of nodes that ran. */
  stop(): Promise<number> {
    this.#stopping ??= this.#shutDown();
    return this.#stopping;
  }

  /** For a second Ctrl-C: does not wait for nodes to end in order. */
  killAll(): void {
    this.#network.killAll();
  }

  async status(): Promise<DevnetStatus> {
    const { name, seed, topology, mining } = this.options;
    const nodes = await this.#network.statuses();
    const work = await this.#watch?.look(this.#network, nodes);
    return {
      name,
      network: this.#params.name,
      seed,
      pid: process.pid,
      topology: describeTopology(topology),
      mining: describeMining(mining),
      ...(this.#clock.setting.kind === 'real' ? {} : { clock: this.#clock.text }),
      partition: this.#network.sides,
      nodes,
      ...(work === undefined ? {} : { work }),
    };
  }

  kill(node: string): Promise<NodeStatus> {
    return this.#network.kill(node);
  }

  restart(node: string): Promise<NodeStatus> {
    return this.#network.restart(node);
  }

  async partition(sides: Sides): Promise<DevnetStatus> {
    await this.#network.partition(sides);
    return this.status();
  }

  async heal(): Promise<DevnetStatus> {
    await this.#network.heal();
    return this.status();
  }

  /** The links that are slow. */
  get links(): readonly SlowLink[] {
    return this.#network.slowLinks;
  }

  /** Makes the link between two nodes slow, or with null fast again. */
  async link(a: string, b: string, order: LinkOrder): Promise<{ links: readonly SlowLink[]; linked: boolean }> {
    await this.#network.link(a, b, order);
    const { peers = [] } = await this.#network.member(a).status();
    return { links: this.links, linked: peers.includes(b) };
  }

  // ---- start and stop

  async #claim(): Promise<void> {
    this.#folder.make();
    const owner = await this.#folder.owner();
    if (owner !== undefined) throw this.#alreadyRuns(owner.pid);
    this.#checkName();
    if (await this.#folder.releaseStale()) this.#note(`devnet "${this.options.name}" had been killed; cleaned up`);
    const token = randomBytes(32).toString('hex');
    this.#control = await ControlServer.listen(token, (method, params) => carryOut(this, method, params));
    this.#owned = this.#folder.claim({ pid: process.pid, control: this.#control.address });
    if (!this.#owned) throw this.#alreadyRuns((await this.#folder.owner())?.pid);
    this.#hooks.onClaimed();
  }

  /** Commands know a network by its name: two of one name below one data directory would be mixed up. */
  #checkName(): void {
    const { options } = this;
    const mine = options.chain?.file;
    if (mine === undefined) return;
    const others = runningDevnets(options.datadir).filter(
      ({ name, network }) => name !== options.name && network === this.#params.name,
    );
    const other = others.find(({ chain }) => chain !== undefined && !isSameGenesis(readChainFile(chain), this.#params));
    if (other === undefined) return;
    throw new CliError(
      Exit.failed,
      'network-name-taken',
      `devnet "${other.name}" runs another network of the name "${this.#params.name}"`,
      'stop it, give the new chain file another "name", or keep them apart with --datadir',
    );
  }

  async #bringUp(): Promise<ReadyReport> {
    const shape = this.#shape();
    if (this.options.load !== undefined) await this.#restore(this.options.load);
    this.#note(`starting ${shape.nodes} node${shape.nodes === 1 ? '' : 's'}`);
    this.#continued = this.#prepareFolder(shape);
    this.#clock.load(this.#folder.readClock());
    this.#folder.writeChain(this.options.chain?.file);
    const first = await this.#startNodes();
    if (this.#continued) this.#note(`devnet "${this.options.name}" goes on where it was stopped`);
    await waitUntilReady(this.#network, this.options, first, this.#loaded());
    if (!this.#continued) await this.#writeWallets();
    // Last, because it says that all of the chain and its wallets are there.
    this.#folder.writeShape(shape);
    this.#folder.forgetLoaded();
    const report = await this.#report();
    this.#ready = true;
    this.#writeFile();
    this.#production.start();
    return report;
  }

  /** True if the stored chain can go on; otherwise there is none any more. */
  #prepareFolder(shape: Shape): boolean {
    const stored = this.#folder.readShape();
    if (stored !== undefined && isSameShape(stored, shape)) return true;
    if (stored !== undefined) {
      const was = `${stored.network}, seed ${stored.seed}, ${stored.nodes} nodes, ${stored.accounts} accounts`;
      this.#note(`the stopped devnet "${this.options.name}" was another one (${was}): it is replaced`);
    }
    this.#folder.clear();
    return false;
  }

  /**
   * Starts all nodes and gives the first one its blocks. It is started ahead of the others and loads while keys and
   * blocks are derived here; so it mostly has the whole chain when they come, and they get it in one piece.
   */
  async #startNodes(): Promise<FirstChain> {
    for (let attempt = 1; ; attempt++) {
      const network = await this.#makeNetwork();
      const [first, ...others] = network.members as readonly [Member, ...Member[]];
      try {
        const firstAnswers = network.start(first);
        // Nobody awaits it while the chain is prepared.
        firstAnswers.catch(() => undefined);
        const blocks = await this.#prepareChain();
        const haveChain = firstAnswers.then(() => submitChain(first, blocks));
        await Promise.all([haveChain, ...others.map((member) => network.start(member))]);
        return { height: premineHeight(this.options.accounts), tip: blocks.at(-1)?.header.hash };
      } catch (error) {
        await network.stop();
        const isTaken = error instanceof CliError && error.code === 'port-taken';
        if (!isTaken || attempt === MAX_PORT_ATTEMPTS || this.phase === 'stopping') throw this.#withWayOut(error);
      }
    }
  }

  async #makeNetwork(): Promise<Network> {
    const loaded = this.#loaded();
    const count = loaded?.nodes.length ?? this.options.nodes;
    const specs = await nodeSpecs({ ...this.options, nodes: count }, this.#params, this.#folder, this.#hooks.onNote);
    if (loaded === undefined) return this.#setNetwork(specs);
    const ports = new Map(loaded.nodes.map(({ name }, index) => [name, specs[index]!.ports]));
    const network = this.#setNetwork(savedSpecs(loaded.nodes, ports, this.#params, this.#folder));
    network.restore(loaded.sides, loaded.links);
    return network;
  }

  /** What a snapshot that was put here since the last start says of the nodes. */
  #loaded(): SavedState | undefined {
    return this.#continued ? this.#folder.readLoaded() : undefined;
  }

  #setNetwork(specs: readonly NodeSpec[]): Network {
    if (this.phase === 'stopping') throw interrupted();
    const watcher = this.#watcher();
    const members = specs.map((spec) => new Member(this.#withWork(spec), watcher));
    const mockTime = () => (this.#clock.setting.kind === 'real' ? undefined : this.#clock.now());
    this.#network = new Network(members, mockTime);
    return this.#network;
  }

  /** What a node must know of a network whose blocks cost work. */
  #withWork(spec: NodeSpec): NodeSpec {
    const { mining } = this.options;
    const miner = mining.kind === 'work' ? mining.miners.find(({ node }) => node === spec.name) : undefined;
    return { ...spec, chainFile: this.#chainFile, miningShare: miner?.share };
  }

  /** The file of the network, where it is no built-in one. */
  get #chainFile(): string | undefined {
    return this.options.chain?.file === undefined ? undefined : this.#folder.chainFile;
  }

  /** Puts a snapshot here before anything is started. */
  async #restore(name: string): Promise<void> {
    const snapshot = openSnapshot(this.options.datadir, name);
    await restoreStopped(snapshot, this.#folder, () => this.phase === 'stopping');
    this.#note(`snapshot "${name}" of ${snapshot.manifest.savedAt} is in place`);
  }

  #watcher(): MemberWatcher {
    return {
      onLog: (member, line) => this.#onLog(member, line),
      onStart: (member) => {
        this.#onChange({ event: 'start', node: member.name });
        void this.#miners?.onStart(member);
      },
      onExit: (member, how) => this.#onChange({ event: 'exit', node: member.name, how }),
    };
  }

  /** Derives the keys, and makes the first blocks unless an earlier chain goes on. */
  async #prepareChain(): Promise<readonly Block[]> {
    const { accounts, seed, nodes } = this.options;
    this.#keys = await deriveAccounts(accounts, seed, this.#params);
    if (this.#miners !== undefined) this.#rewards = rewardKeys(this.#keys.faucet.publicKey, nodes, this.#params);
    if (this.#continued) return [];
    const scripts = this.#keys.accounts.map(({ script }) => script);
    const { script: faucet } = this.#keys.faucet;
    if (this.#miners === undefined) return premine(scripts, faucet, this.#params);
    const { WorkPremine } = await import('./work-premine.ts');
    if (this.phase === 'stopping') throw interrupted();
    this.#premine ??= new WorkPremine(scripts, faucet, this.#params, (text) => this.#note(text));
    return this.#premine.blocks;
  }

  async #writeWallets(): Promise<void> {
    for (const { name, publicKey, mnemonic } of this.#allKeys()) {
      writeDevnetWallet(this.#walletPath(name), this.#params.name, publicKey, mnemonic);
    }
    if (this.#rewards.length > 0) await giveOutRewardKeys(this.#walletPath(FAUCET), this.#rewards);
  }

  async #report(): Promise<ReadyReport> {
    const accounts = this.#walletAccounts();
    const first = this.#network.members[0] as Member;
    const [status, balances] = await Promise.all([this.status(), readBalances(accounts, first.rpc)]);
    const facts = { file: this.#folder.devnetFile, continued: this.#continued };
    return readyReport(status, this.#describe(), balances, facts);
  }

  async #shutDown(): Promise<number> {
    const stopped = this.#network.running.length;
    this.#production.stop();
    this.#clock.stop();
    try {
      await this.#premine?.stop();
      await this.#network.stop();
      if (this.#owned) {
        this.#folder.release();
        this.#hooks.onReleased();
      }
    } finally {
      // Not awaited here: the call that asked for this is answered after it.
      const closed = this.#control === undefined ? Promise.resolve() : this.#control.close();
      closed.then(this.#finish);
    }
    return stopped;
  }

  // ---- while it runs

  #onLog(member: Member, line: LogLine): void {
    const event = this.#filter.read(member.name, line);
    if (event === undefined || this.phase !== 'ready') return;
    this.#hooks.onEvent(event);
    if (event.event === 'transaction') this.#production.onTransaction(member.name);
  }

  #onChange(event: DevnetEvent): void {
    if (this.phase !== 'ready') return;
    this.#hooks.onEvent(event);
    this.#writeAgain();
  }

  async #mine(name: string): Promise<void> {
    try {
      await this.#network.member(name).rpc.call('generatetoaddress', [1, this.#derived().faucet.address]);
    } catch (error) {
      if (!(error instanceof CliError)) throw error;
      // A node that was ended meanwhile; the next block is another one's.
      const event = { event: 'mining-failed', node: name, reason: error.message } as const;
      if (this.phase === 'ready') this.#hooks.onEvent(event);
    }
  }

  // ---- what it says of itself

  #note(text: string): void {
    this.#hooks.onNote(text);
  }

  /** The network goes on where the disk is full: the file is right again after the next change that can be written. */
  #writeAgain(): void {
    try {
      this.#writeFile();
    } catch (error) {
      if (!(error instanceof CliError)) throw error;
      this.#note(`${error.message}: it is out of date until it can be written`);
    }
  }

  #writeFile(): void {
    writeDevnetFile(this.#folder.devnetFile, this.#describe());
  }

  #describe(): DevnetFile {
    const { name, seed } = this.options;
    const { accounts, faucet } = this.#derived();
    if (this.#control === undefined) throw new Error('the devnet has not been claimed');
    return {
      schema: DEVNET_SCHEMA,
      name,
      network: this.#params.name,
      seed,
      pid: process.pid,
      control: this.#control.address,
      nodes: this.#network.members.map((member) => member.describe()),
      ...(this.#chainFile === undefined ? {} : { chain: this.#chainFile }),
      accounts: accounts.map((account) => this.#describeAccount(account)),
      faucet: this.#describeAccount(faucet),
    };
  }

  #describeAccount({ name, address, mnemonic }: AccountKeys): DevnetAccount {
    return { name, address, mnemonic, wallet: this.#walletPath(name) };
  }

  #derived(): Keys {
    if (this.#keys === undefined) throw new Error('the keys are derived before anything needs them');
    return this.#keys;
  }

  #allKeys(): AccountKeys[] {
    const { accounts, faucet } = this.#derived();
    return [...accounts, faucet];
  }

  #walletAccounts(): (AccountKeys & { readonly wallet: string })[] {
    return this.#allKeys().map((account) => ({ ...account, wallet: this.#walletPath(account.name) }));
  }

  #walletPath(account: string): string {
    return devnetWalletPath(this.options.datadir, this.options.name, account);
  }

  #shape(): Shape {
    const { seed, nodes, accounts } = this.options;
    const { name: network, genesis } = this.#params;
    const chain = this.options.chain === undefined ? {} : { genesis: genesis.header.hash };
    return { schema: 1, network, seed, nodes, accounts, ...chain };
  }

  // ---- errors

  #alreadyRuns(pid: number | undefined): CliError {
    const { name } = this.options;
    const flag = this.#nameFlag();
    return new CliError(
      Exit.failed,
      'devnet-running',
      `devnet "${name}" runs already${pid === undefined ? '' : ` (process ${pid})`}`,
      `look at it: grapevine devnet status${flag}; stop it: grapevine devnet down${flag}; or start another with --name`,
    );
  }

  /** What a node says of its data directory is meant for people who chose one; here there is a simpler way out. */
  #withWayOut(error: unknown): unknown {
    if (!(error instanceof CliError) || !error.code.startsWith('datadir-')) return error;
    const hint = `remove the data of this devnet and begin anew: grapevine devnet down --purge${this.#nameFlag()}`;
    return new CliError(error.exit, error.code, error.message, hint);
  }

  /** What a command needs to mean this devnet. */
  #nameFlag(): string {
    return this.options.name === DEFAULT_DEVNET ? '' : ` --name ${this.options.name}`;
  }
}

function isSameGenesis(a: ChainParams, b: ChainParams): boolean {
  return a.genesis.header.hash === b.genesis.header.hash;
}

function isSameShape(a: Shape, b: Shape): boolean {
  const isSameChain = a.network === b.network && a.genesis === b.genesis;
  return isSameChain && a.seed === b.seed && a.nodes === b.nodes && a.accounts === b.accounts;
}
