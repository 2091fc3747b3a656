/**
 * A running devnet, from the claim on its folder to the end of its last node: starts the nodes, gives them their first
 * blocks, mines, writes devnet.json, and answers the commands. Owns the accounts' keys and the control endpoint; the nodes
 * belong to network.ts. What is printed, and where, is the caller's choice.
 */
import { randomBytes } from 'node:crypto';
import type { Block } from '../consensus/block.ts';
import { type ChainParams, regtest } from '../consensus/params.ts';
import { CliError, Exit } from '../node/commands/cli.ts';
import {
  DEFAULT_DEVNET,
  DEVNET_SCHEMA,
  type DevnetAccount,
  type DevnetFile,
  devnetWalletPath,
  writeDevnetFile,
} from '../wallet/devnet-file.ts';
import { writeDevnetWallet } from '../wallet/keystore.ts';
import { type AccountKeys, deriveAccounts } from './accounts.ts';
import { readBalances } from './balances.ts';
import { BlockProduction, describeMining } from './block-production.ts';
import { carryOut } from './calls.ts';
import { ControlServer } from './control.ts';
import { type DevnetEvent, EventFilter } from './events.ts';
import { DevnetFolder, type Shape } from './folder.ts';
import { nodeSpecs, submitChain, waitUntilReady } from './launch.ts';
import { Member } from './member.ts';
import { interrupted, Network } from './network.ts';
import type { DevnetOptions } from './options.ts';
import type { Sides } from './partition.ts';
import { premine } from './premine.ts';
import type { LogLine } from './processes.ts';
import { type ReadyReport, readyReport } from './report.ts';
import type { DevnetStatus, NodeStatus } from './status.ts';
import { describeTopology } from './topology.ts';

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
  readonly #params: ChainParams = regtest;
  readonly #folder: DevnetFolder;
  readonly #hooks: DevnetHooks;
  readonly #filter = new EventFilter();
  readonly #production: BlockProduction;
  #network = new Network([]);
  #keys: Keys | undefined;
  #control: ControlServer | undefined;
  #owned = false;
  /** True where the chain of an earlier run goes on. */
  #continued = false;
  #ready = false;
  #stopping: Promise<number> | undefined;
  #finish: () => void = () => undefined;

  constructor(options: DevnetOptions, hooks: DevnetHooks) {
    this.options = options;
    this.#folder = new DevnetFolder(options.datadir, options.name);
    this.#hooks = hooks;
    this.finished = new Promise((resolve) => {
      this.#finish = resolve;
    });
    this.#production = new BlockProduction(options.mining, {
      sides: () => this.#network.answeringSides,
      mine: (node) => this.#mine(node),
    });
  }

  get phase(): 'starting' | 'ready' | 'stopping' {
    if (this.#stopping !== undefined) return 'stopping';
    return this.#ready ? 'ready' : 'starting';
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
    return {
      name,
      network: this.#params.name,
      seed,
      pid: process.pid,
      topology: describeTopology(topology),
      mining: describeMining(mining),
      partition: this.#network.sides,
      nodes: await this.#network.statuses(),
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

  // ---- start and stop

  async #claim(): Promise<void> {
    this.#folder.make();
    const owner = await this.#folder.owner();
    if (owner !== undefined) throw this.#alreadyRuns(owner.pid);
    if (await this.#folder.releaseStale()) this.#note(`devnet "${this.options.name}" had been killed; cleaned up`);
    const token = randomBytes(32).toString('hex');
    this.#control = await ControlServer.listen(token, (method, params) => carryOut(this, method, params));
    this.#owned = this.#folder.claim({ pid: process.pid, control: this.#control.address });
    if (!this.#owned) throw this.#alreadyRuns((await this.#folder.owner())?.pid);
    this.#hooks.onClaimed();
  }

  async #bringUp(): Promise<ReadyReport> {
    const shape = this.#shape();
    this.#note(`starting ${shape.nodes} node${shape.nodes === 1 ? '' : 's'}`);
    this.#continued = this.#prepareFolder(shape);
    const blocks = await this.#startNodes();
    if (this.#continued) this.#note(`devnet "${this.options.name}" goes on where it was stopped`);
    await waitUntilReady(this.#network, this.options, blocks, this.#continued);
    if (!this.#continued) this.#writeWallets();
    // Last, because it says that all of the chain and its wallets are there.
    this.#folder.writeShape(shape);
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
      const was = `seed ${stored.seed}, ${stored.nodes} nodes, ${stored.accounts} accounts`;
      this.#note(`the stopped devnet "${this.options.name}" was another one (${was}): it is replaced`);
    }
    this.#folder.clear();
    return false;
  }

  /**
   * Starts all nodes and gives the first one its blocks. It is started ahead of the others and loads while keys and
   * blocks are derived here; so it mostly has the whole chain when they come, and they get it in one piece.
   */
  async #startNodes(): Promise<readonly Block[]> {
    for (let attempt = 1; ; attempt++) {
      const network = await this.#makeNetwork();
      const [first, ...others] = network.members as readonly [Member, ...Member[]];
      try {
        const firstAnswers = network.start(first);
        // Nobody awaits it while the chain is prepared.
        firstAnswers.catch(() => undefined);
        const blocks = await this.#prepareChain();
        const haveChain = firstAnswers.then(() => (this.#continued ? undefined : submitChain(first, blocks)));
        await Promise.all([haveChain, ...others.map((member) => network.start(member))]);
        return blocks;
      } catch (error) {
        await network.stop();
        const isTaken = error instanceof CliError && error.code === 'port-taken';
        if (!isTaken || attempt === MAX_PORT_ATTEMPTS || this.phase === 'stopping') throw this.#withWayOut(error);
      }
    }
  }

  async #makeNetwork(): Promise<Network> {
    const specs = await nodeSpecs(this.options, this.#params, this.#folder, this.#hooks.onNote);
    if (this.phase === 'stopping') throw interrupted();
    const watcher = {
      onLog: (member: Member, line: LogLine) => this.#onLog(member, line),
      onStart: (member: Member) => this.#onChange({ event: 'start', node: member.name }),
      onExit: (member: Member, how: string) => this.#onChange({ event: 'exit', node: member.name, how }),
    };
    this.#network = new Network(specs.map((spec) => new Member(spec, watcher)));
    return this.#network;
  }

  async #prepareChain(): Promise<Block[]> {
    const { accounts, seed } = this.options;
    this.#keys = await deriveAccounts(accounts, seed, this.#params);
    const scripts = this.#keys.accounts.map(({ script }) => script);
    return premine(scripts, this.#keys.faucet.script, this.#params);
  }

  #writeWallets(): void {
    for (const { name, publicKey, mnemonic } of this.#allKeys()) {
      writeDevnetWallet(this.#walletPath(name), this.#params.name, publicKey, mnemonic);
    }
  }

  async #report(): Promise<ReadyReport> {
    const accounts = this.#allKeys().map((account) => ({ ...account, wallet: this.#walletPath(account.name) }));
    const first = this.#network.members[0] as Member;
    const [status, balances] = await Promise.all([this.status(), readBalances(accounts, first.rpc)]);
    const facts = { file: this.#folder.devnetFile, continued: this.#continued };
    return readyReport(status, this.#describe(), balances, facts);
  }

  async #shutDown(): Promise<number> {
    const stopped = this.#network.running.length;
    this.#production.stop();
    try {
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
    this.#writeFile();
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

  #walletPath(account: string): string {
    return devnetWalletPath(this.options.datadir, this.options.name, account);
  }

  #shape(): Shape {
    const { seed, nodes, accounts } = this.options;
    return { schema: 1, network: this.#params.name, seed, nodes, accounts };
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

function isSameShape(a: Shape, b: Shape): boolean {
  return a.network === b.network && a.seed === b.seed && a.nodes === b.nodes && a.accounts === b.accounts;
}
