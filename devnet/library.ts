/**
 * A devnet in somebody else's program, for tests and experiments: `import { devnet } from 'grapevine/devnet'`.
 *
 *   await using net = await devnet({ nodes: 4 });
 *   const payment = await net.account('alice').send('bob', '1.5btc');
 *   await net.waitForTx(payment.txid); // it takes a moment to n2, which mines only what it knows
 *   await net.mine(1, { node: 'n2' });
 *   await net.waitForTx(payment.txid, { confirmations: 1 });
 *
 * The supervisor runs in the caller's process, the nodes are processes of their own. They read a pipe that this process
 * holds, so they end with it however it ends. Nothing is written to the caller's output. Everything that goes wrong
 * rejects with a DevnetError, which has a code for programs and a hint for people.
 */
import { readFileSync, rmSync } from 'node:fs';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { networkByName, regtest } from '../consensus/params.ts';
import { CliError, Exit, usageError } from '../node/commands/cli.ts';
import { parseAmount, parseFeeRate } from '../wallet/amount.ts';
import { DEFAULT_DEVNET, type DevnetAccount, type DevnetNode } from '../wallet/devnet-file.ts';
import { checkName } from '../wallet/names.ts';
import { NodeRefusal } from '../wallet/rpc-client.ts';
import type { Balance } from '../wallet/wallet-coins.ts';
import { FAUCET } from './accounts.ts';
import { type ChainChoice, choiceOf, chosenNetwork } from './chain-choice.ts';
import { type ClockOrder, readClockOrder } from './clock-setting.ts';
import type { ClockStatus } from './devnet-clock.ts';
import type { DevnetEvent } from './events.ts';
import { DevnetFolder } from './folder.ts';
import { readLinkOrder, type SlowLink } from './links.ts';
import { readMiners } from './mining-shares.ts';
import {
  type DevnetOptions,
  MAX_ACCOUNTS,
  MAX_BLOCK_TIME_MS,
  MAX_NODES,
  MIN_BLOCK_TIME_MS,
  type MiningPlan,
  readTopology,
  type Topology,
} from './options.ts';
import type { Payment } from './payments.ts';
import { LOOPBACK } from './ports.ts';
import type { ReorgResult } from './reorg.ts';
import type { SnapshotSummary } from './snapshots.ts';
import type { DevnetStatus, NodeStatus } from './status.ts';
import { Devnet as Supervisor } from './supervisor.ts';
import { checkTopologyFile, type TopologyFile } from './topology-file.ts';
import type { Timeline } from './trace.ts';
import { traceItem } from './trace-logs.ts';
import type { TipReached, TxReached, TxWaitOptions, WaitOptions } from './waits.ts';

export type {
  Balance,
  ClockStatus,
  DevnetEvent,
  DevnetStatus,
  NodeStatus,
  Payment,
  ReorgResult,
  SlowLink,
  SnapshotSummary,
  Timeline,
  TipReached,
  TopologyFile,
  TxReached,
  TxWaitOptions,
  WaitOptions,
};
/**
 * Whatever goes wrong. `code` is for programs: `usage`, `node-stopped`, `wait-timeout`, `insufficient-funds`, or a node's
 * own reject reason; `exit` is the exit code that the command line would have; `hint` says what to do.
 */
export { CliError as DevnetError, NodeRefusal as RpcError };

export interface DevnetSettings {
  /** 4 unless a topology file says otherwise. */
  readonly nodes?: number;
  /** `pex` (the default), `line`, `ring`, `star`, `full`, `random:K`, or the content of a topology file. */
  readonly topology?: string | TopologyFile;
  /** Funded accounts; 10 unless said otherwise. */
  readonly accounts?: number;
  /**
   * `off` (the default): blocks by `mine` only; `on-tx`: one for every payment; a number: one every so many milliseconds.
   * Where blocks cost work: `work`, all nodes alike, or who searches with what, `n0=60,n1=40`.
   */
  readonly mining?: string | number;
  /** `vinenet`, or the content of a chain file; regtest unless said otherwise. */
  readonly network?: string;
  /** The same seed makes the same accounts and the same first blocks; 1 unless said otherwise. */
  readonly seed?: number;
  readonly name?: string;
  /** Where the devnet is kept. Unless given, in a temporary folder that is removed at the end. */
  readonly datadir?: string;
  /** Stops the devnet, also while it starts. */
  readonly signal?: AbortSignal;
  /** Blocks, payments, reorgs, starts and ends, each told once. */
  readonly onEvent?: (event: DevnetEvent) => void;
}

/** Satoshis, or a text with a unit: `1.5btc`, `5000sat`. A bare number could be either, and is refused. */
export type Amount = bigint | string;

/** The name of a node, or what `node()` gives. */
export type NodeRef = string | DevnetNodeHandle;

/** The delay of a link in the words of the command line: `{ delay: '200ms', jitter: '50ms', bandwidth: '64kbps' }`. */
export interface LinkShape {
  readonly delay?: string;
  readonly jitter?: string;
  readonly bandwidth?: string;
}

/** Starts a devnet, and resolves when its nodes are one network with funded accounts. */
export async function devnet(settings: DevnetSettings = {}): Promise<RunningDevnet> {
  checkSettings(settings);
  settings.signal?.throwIfAborted();
  const temporary = settings.datadir === undefined ? await mkdtemp(join(tmpdir(), 'grapevine-devnet-')) : undefined;
  try {
    // Again: from here on it is listened to, and it may have come while the folder was made.
    settings.signal?.throwIfAborted();
    const options = readSettings(settings, temporary ?? resolve(settings.datadir as string));
    return await RunningDevnet.start(options, settings, temporary);
  } catch (error) {
    if (temporary !== undefined) await rm(temporary, { recursive: true, force: true });
    throw error;
  }
}

/** Devnets of this process that still run, for its end. */
const running = new Set<{ end(): void }>();
let watchesExit = false;

/** Before the process is gone, so that nothing of it stays. The nodes would end by themselves; the folder would not. */
function endAll(): void {
  for (const one of running) one.end();
  running.clear();
}

const ENDING_SIGNALS = ['SIGINT', 'SIGTERM', 'SIGHUP'] as const;

/** A signal ends a process without its `exit` event. Where somebody else listens too, it is theirs what becomes of it. */
function endOnSignal(signal: NodeJS.Signals): void {
  if (process.listenerCount(signal) > 1) return;
  endAll();
  process.off(signal, endOnSignal);
  process.kill(process.pid, signal);
}

function watchExit(): void {
  if (watchesExit) return;
  watchesExit = true;
  process.on('exit', endAll);
  for (const signal of ENDING_SIGNALS) process.on(signal, endOnSignal);
}

export class RunningDevnet implements AsyncDisposable {
  readonly name: string;
  readonly seed: number;
  /** The folder that `--datadir` of the command line takes: its commands find this devnet there. */
  readonly datadir: string;
  readonly accounts: readonly DevnetAccountHandle[];
  /** Resolves when every node has ended, whoever stopped the devnet. */
  readonly finished: Promise<void>;
  readonly #supervisor: Supervisor;
  readonly #temporary: string | undefined;
  readonly #onEnd: () => void;
  readonly #nodes = new Map<string, DevnetNodeHandle>();
  #stopping: Promise<void> | undefined;

  private constructor(
    supervisor: Supervisor,
    accounts: readonly DevnetAccount[],
    temporary: string | undefined,
    onEnd: () => void,
  ) {
    const { name, seed, datadir } = supervisor.options;
    this.name = name;
    this.seed = seed;
    this.datadir = datadir;
    this.#supervisor = supervisor;
    this.#temporary = temporary;
    this.#onEnd = onEnd;
    this.accounts = accounts.map((account) => new DevnetAccountHandle(this, account));
    this.finished = supervisor.finished;
  }

  /** @internal */
  static async start(
    options: DevnetOptions,
    { signal, onEvent }: DevnetSettings,
    temporary: string | undefined,
  ): Promise<RunningDevnet> {
    const supervisor = new Supervisor(options, {
      onClaimed: () => undefined,
      onReleased: () => undefined,
      onNote: () => undefined,
      onEvent: (event) => onEvent?.(event),
    });
    const entry = {
      end() {
        supervisor.killAll();
        if (temporary !== undefined) rmSync(temporary, { recursive: true, force: true });
      },
    };
    running.add(entry);
    watchExit();
    // How that ends is told by `up`, and later by `stop`.
    const onAbort = () => void supervisor.stop().catch(() => undefined);
    signal?.addEventListener('abort', onAbort, { once: true });
    supervisor.finished.then(() => signal?.removeEventListener('abort', onAbort));
    try {
      const { accounts, faucet } = await supervisor.up();
      return new RunningDevnet(supervisor, [...accounts, faucet], temporary, () => running.delete(entry));
    } catch (error) {
      running.delete(entry);
      throw error;
    }
  }

  // ---- nodes

  /** All nodes, those that are down too. */
  get nodes(): readonly DevnetNodeHandle[] {
    return this.#supervisor.operations.describe().map(({ name }) => this.node(name));
  }

  /** The node of that name, or of that number. Throws a DevnetError with the names that there are. */
  node(name: string | number): DevnetNodeHandle {
    const text = typeof name === 'number' ? `n${name}` : name;
    const known = this.#supervisor.operations.describe().map((node) => node.name);
    if (!known.includes(text)) throw usageError(`there is no node "${text}"`, `the nodes are ${known.join(', ')}`);
    const handle = this.#nodes.get(text) ?? new DevnetNodeHandle(this, text);
    this.#nodes.set(text, handle);
    return handle;
  }

  /** Starts a further node that dials `connect`, else the first one that runs. */
  async add(options: { readonly connect?: NodeRef } = {}): Promise<DevnetNodeHandle> {
    const { name } = await this.#ready().operations.add(nameOf(options.connect));
    return this.node(name);
  }

  status(): Promise<DevnetStatus> {
    return this.#supervisor.status();
  }

  /** @internal What is known of a node without asking it. */
  facts(name: string): DevnetNode {
    const found = this.#supervisor.operations.describe().find((node) => node.name === name);
    if (found === undefined) throw usageError(`there is no node "${name}" any more`);
    return found;
  }

  /** Any method of a node, with Bitcoin Core's names and answers. Rejects with RpcError where the node refuses. */
  async rpc<T = unknown>(node: NodeRef, method: string, params: readonly unknown[] = []): Promise<T> {
    return (await this.#ready().operations.rpc(nameOf(node), method, params)) as T;
  }

  /** Ends a node as a crash would. */
  async kill(node: NodeRef): Promise<NodeStatus> {
    return this.#ready().kill(nameOf(node));
  }

  /** Starts a node again, and waits a while for it to catch up. */
  async restart(node: NodeRef): Promise<NodeStatus> {
    return this.#ready().restart(nameOf(node));
  }

  // ---- the network

  /** Cuts the network: every running node is on exactly one side. Resolves when the links between the sides are gone. */
  async partition(...sides: readonly (readonly NodeRef[])[]): Promise<DevnetStatus> {
    if (sides.length < 2)
      throw usageError('a partition has two sides or more', "for example partition(['n0'], ['n1', 'n2'])");
    if (!sides.every((side) => Array.isArray(side))) {
      throw usageError('every side of a partition is a list of nodes', "for example partition(['n0'], ['n1', 'n2'])");
    }
    return this.#ready().partition(sides.map((side) => side.map((node) => nameOf(node))));
  }

  /** Cuts one node off from all others; an earlier partition stays. */
  async isolate(node: NodeRef): Promise<DevnetStatus> {
    await this.#ready().operations.isolate(nameOf(node));
    return this.status();
  }

  /** Lets all nodes link again, and waits a while for them to agree. */
  async heal(): Promise<DevnetStatus> {
    return this.#ready().heal();
  }

  /** Makes the link between two nodes slow; null makes it fast again. */
  async link(a: NodeRef, b: NodeRef, shape: LinkShape | null): Promise<readonly SlowLink[]> {
    const order = readLinkOrder(shape === null ? { reset: true } : readShape(shape));
    const { links } = await this.#ready().link(nameOf(a), nameOf(b), order);
    return links;
  }

  /** The links as they are now, in the form that `topology` of the settings takes. */
  async topology(): Promise<TopologyFile> {
    return this.#ready().operations.topology();
  }

  // ---- blocks and time

  /** Mines blocks at a node (the first that runs unless named), to an address or account (the faucet). Resolves with their hashes. */
  async mine(
    count = 1,
    options: { readonly node?: NodeRef; readonly to?: string | DevnetAccountHandle } = {},
  ): Promise<readonly string[]> {
    const { node, to } = options;
    const order = { count, node: nameOf(node), to: typeof to === 'object' ? to.address : to };
    return (await this.#ready().operations.mine(order)).blocks;
  }

  /**
   * Undoes the last `depth` blocks by a branch that is one heavier. Payments go back to the mempools, but `drop` and what
   * depends on it: its coins go back to their owner.
   */
  async reorg(depth: number, options: { readonly node?: NodeRef; readonly drop?: string } = {}): Promise<ReorgResult> {
    return this.#ready().operations.reorg({ depth, node: nameOf(options.node), drop: readTxid(options.drop) });
  }

  /**
   * Moves the clocks of all nodes: `+1h`, `-30m`; stops them: a Date; `resume` makes them show real time again. Resolves
   * with what they show; without a word nothing changes.
   */
  async time(word?: string | Date): Promise<ClockStatus> {
    return this.#ready().operations.time(readTime(word));
  }

  // ---- accounts

  /** The account of that name; `faucet` is one of them. Throws a DevnetError with the names that there are. */
  account(name: string): DevnetAccountHandle {
    const found = this.accounts.find((account) => account.name === name);
    if (found !== undefined) return found;
    const names = this.accounts.map((account) => account.name).join(', ');
    throw usageError(`there is no account "${name}"`, `the accounts are ${names}`);
  }

  /** Pays from the faucet, 1 btc unless said otherwise. */
  faucet(
    to: string | DevnetAccountHandle,
    amount: Amount = '1btc',
    options?: { readonly node?: NodeRef },
  ): Promise<Payment> {
    return this.account(FAUCET).send(to, amount, options);
  }

  /** @internal */
  async pay(
    from: string,
    to: string | DevnetAccountHandle,
    amount: Amount,
    options: { readonly node?: NodeRef; readonly feeRate?: number } = {},
  ): Promise<Payment> {
    const order = {
      from,
      to: typeof to === 'object' ? to.name : readText('to', to),
      amount: readAmount(amount),
      feeRate: readFeeRate(options.feeRate),
    };
    return this.#ready().operations.pay(order, nameOf(options.node));
  }

  /** @internal */
  async balance(account: string, node: NodeRef | undefined): Promise<Balance> {
    return this.#ready().operations.balance(account, nameOf(node));
  }

  // ---- waiting and watching

  /** Until all running nodes have one tip. */
  async waitForSync(options?: WaitOptions): Promise<TipReached> {
    return this.#ready().operations.waitForSync(options);
  }

  /** Until the chains of all running nodes have that block: its hash, or its height. */
  async waitForTip(target: string | number, options?: WaitOptions): Promise<TipReached> {
    return this.#ready().operations.waitForTip(target, options);
  }

  /** Until all running nodes know a payment, or count so many confirmations of it. */
  async waitForTx(txid: string, options?: TxWaitOptions): Promise<TxReached> {
    return this.#ready().operations.waitForTx(txid, options);
  }

  /** The way of a payment or block through all nodes, as far as their logs tell. */
  async trace(id: string): Promise<Timeline> {
    return traceItem(new DevnetFolder(this.datadir, this.name), readText('the id', id));
  }

  /** Puts the whole devnet aside under a name, in its data directory. */
  async save(name: string, options: { readonly force?: boolean } = {}): Promise<SnapshotSummary> {
    return this.#ready().snapshots.save(readText('the name', name), options.force === true);
  }

  /** Puts what was saved in the place of what there is. */
  async load(name: string): Promise<void> {
    await this.#ready().snapshots.load(readText('the name', name));
  }

  // ---- the end

  /** Ends all nodes, and removes the data unless `datadir` was given. */
  stop(): Promise<void> {
    this.#stopping ??= this.#end();
    return this.#stopping;
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.stop();
  }

  async #end(): Promise<void> {
    try {
      await this.#supervisor.stop();
      await this.#supervisor.finished;
    } finally {
      if (this.#temporary !== undefined) await rm(this.#temporary, { recursive: true, force: true });
      this.#onEnd();
    }
  }

  #ready(): Supervisor {
    const { phase } = this.#supervisor;
    if (phase === 'ready') return this.#supervisor;
    if (phase === 'stopping') throw new CliError(Exit.failed, 'devnet-stopped', `devnet "${this.name}" was stopped`);
    throw new CliError(Exit.failed, `devnet-${phase}`, `devnet "${this.name}" is ${phase}`, 'await what it does first');
  }
}

/** One node, across its restarts. */
export class DevnetNodeHandle {
  readonly name: string;
  readonly #net: RunningDevnet;

  /** @internal */
  constructor(net: RunningDevnet, name: string) {
    this.#net = net;
    this.name = name;
  }

  /** Where it answers JSON-RPC: `http://127.0.0.1:PORT`. */
  get url(): string {
    return `http://${this.#net.facts(this.name).rpc}`;
  }

  /** Where peers connect: `ws://127.0.0.1:PORT`, which takes plain TCP too. */
  get peerUrl(): string {
    return this.#net.facts(this.name).listen[0] ?? `ws://${LOOPBACK}`;
  }

  /** `user:password` for other programs that talk to it. Another one after every restart. */
  get credentials(): string {
    return readFileSync(this.#net.facts(this.name).cookie, 'utf8').trim();
  }

  get running(): boolean {
    return this.#net.facts(this.name).state === 'running';
  }

  /** Any method, with Bitcoin Core's names and answers. Rejects with RpcError where the node refuses. */
  rpc<T = unknown>(method: string, params: readonly unknown[] = []): Promise<T> {
    return this.#net.rpc<T>(this.name, method, params);
  }

  async status(): Promise<NodeStatus> {
    const { nodes } = await this.#net.status();
    return nodes.find(({ name }) => name === this.name) as NodeStatus;
  }

  height(): Promise<number> {
    return this.rpc<number>('getblockcount');
  }

  /** The hash of its best block. */
  tip(): Promise<string> {
    return this.rpc<string>('getbestblockhash');
  }

  /** The txids of its pool. */
  mempool(): Promise<readonly string[]> {
    return this.rpc<readonly string[]>('getrawmempool');
  }

  mine(count = 1, options: { readonly to?: string | DevnetAccountHandle } = {}): Promise<readonly string[]> {
    return this.#net.mine(count, { ...options, node: this.name });
  }

  reorg(depth: number, options: { readonly drop?: string } = {}): Promise<ReorgResult> {
    return this.#net.reorg(depth, { ...options, node: this.name });
  }

  kill(): Promise<NodeStatus> {
    return this.#net.kill(this.name);
  }

  restart(): Promise<NodeStatus> {
    return this.#net.restart(this.name);
  }

  isolate(): Promise<DevnetStatus> {
    return this.#net.isolate(this.name);
  }

  waitForTip(target: string | number, options: Omit<WaitOptions, 'nodes'> = {}): Promise<TipReached> {
    return this.#net.waitForTip(target, { ...options, nodes: [this.name] });
  }

  waitForTx(txid: string, options: Omit<TxWaitOptions, 'nodes'> = {}): Promise<TxReached> {
    return this.#net.waitForTx(txid, { ...options, nodes: [this.name] });
  }
}

/** A funded account, whose keys are public by design. */
export class DevnetAccountHandle {
  readonly name: string;
  /** Its first receiving address, the one that was funded. */
  readonly address: string;
  readonly mnemonic: string;
  readonly #net: RunningDevnet;

  /** @internal */
  constructor(net: RunningDevnet, { name, address, mnemonic }: DevnetAccount) {
    this.#net = net;
    this.name = name;
    this.address = address;
    this.mnemonic = mnemonic;
  }

  /** Satoshis, as a node sees them (the first that runs unless named). */
  balance(options: { readonly node?: NodeRef } = {}): Promise<Balance> {
    return this.#net.balance(this.name, options.node);
  }

  /** Pays to an address or an account. The fee is 2 sat/vB unless said otherwise. */
  send(
    to: string | DevnetAccountHandle,
    amount: Amount,
    options: { readonly node?: NodeRef; readonly feeRate?: number } = {},
  ): Promise<Payment> {
    return this.#net.pay(this.name, to, amount, options);
  }
}

// ---- what the caller gives, checked

/** RPC ports of library devnets begin here or later, by chance: several test processes start some at one moment. */
const FIRST_PORT = 20_000;
const PORT_CHOICES = 6000;

/** All settings. A record, so that a new one cannot be forgotten here. */
const SETTINGS: Readonly<Record<keyof DevnetSettings, true>> = {
  nodes: true,
  topology: true,
  accounts: true,
  mining: true,
  network: true,
  seed: true,
  name: true,
  datadir: true,
  signal: true,
  onEvent: true,
};

/** An empty `datadir` would be the folder that the caller happens to be in. */
function checkSettings(settings: DevnetSettings): void {
  const unknown = Object.keys(settings).find((name) => !Object.hasOwn(SETTINGS, name));
  if (unknown !== undefined) {
    throw usageError(`there is no setting "${unknown}"`, `the settings are ${Object.keys(SETTINGS).join(', ')}`);
  }
  const { datadir, onEvent } = settings;
  if (datadir !== undefined && readText('datadir', datadir) === '') throw usageError('datadir: "" is no folder');
  if (onEvent !== undefined && typeof onEvent !== 'function') throw usageError('onEvent: not a function');
}

function readSettings(settings: DevnetSettings, datadir: string): DevnetOptions {
  const { topology: given = 'pex' } = settings;
  const file = typeof given === 'string' ? undefined : checkTopologyFile(given, 'topology');
  const nodes = readCount('nodes', settings.nodes ?? file?.nodes ?? 4, 1, MAX_NODES);
  if (file !== undefined && file.nodes !== nodes) {
    throw usageError(`nodes: the topology has ${file.nodes}, and ${nodes} are asked for`, 'leave out nodes');
  }
  const topology: Topology = file ?? readTopology(given as string, nodes);
  const chain = readNetwork(settings.network);
  return {
    name: checkName('devnet', settings.name ?? DEFAULT_DEVNET),
    nodes,
    topology,
    accounts: readCount('accounts', settings.accounts ?? 10, 1, MAX_ACCOUNTS),
    mining: chain === undefined ? readMining(settings.mining) : readWork(settings.mining, nodes, chain.network),
    seed: readCount('seed', settings.seed ?? 1, 0, Number.MAX_SAFE_INTEGER),
    datadir,
    firstPort: FIRST_PORT + 2 * Math.floor(Math.random() * PORT_CHOICES),
    ...(chain === undefined ? {} : { chain }),
  };
}

/** A chain file is JSON, and no name of a network is. */
function readNetwork(given: string | undefined): ChainChoice | undefined {
  const text = readText('network', given ?? regtest.name);
  if (text.trimStart().startsWith('{')) return choiceOf(chosenNetwork({ network: '', file: text }), true);
  if (networkByName(text) !== undefined) return choiceOf(chosenNetwork({ network: text }), false);
  throw usageError(`network: there is no network "${text}"`, 'give regtest, vinenet, or the content of a chain file');
}

/** Callers in JavaScript have no types: what is no text is refused by its name, and not met later as a TypeError. */
function readText(what: string, value: unknown): string {
  if (typeof value === 'string') return value;
  throw usageError(`${what}: ${String(value)} is no text`);
}

function readTxid(txid: string | undefined): string | undefined {
  if (txid === undefined || (typeof txid === 'string' && /^[0-9a-f]{64}$/i.test(txid))) return txid?.toLowerCase();
  throw usageError(`"${String(txid)}" is no txid`, 'a txid has 64 hex digits');
}

function readShape(shape: LinkShape): LinkShape {
  const example = "for example { delay: '200ms', jitter: '50ms', bandwidth: '64kbps' }, or null to make it fast again";
  if (typeof shape !== 'object') throw usageError(`${String(shape)} is no shape of a link`, example);
  const { delay, jitter, bandwidth } = shape;
  for (const text of [delay, jitter, bandwidth]) {
    if (text !== undefined && typeof text !== 'string') throw usageError(`${String(text)} has no unit`, example);
  }
  // Only these: the command line knows more words, and here null says them.
  return Object.fromEntries(Object.entries({ delay, jitter, bandwidth }).filter(([, text]) => text !== undefined));
}

function readCount(what: string, value: number, min: number, max: number): number {
  if (Number.isSafeInteger(value) && value >= min && value <= max) return value;
  throw usageError(`${what}: ${String(value)} is not a whole number from ${min} to ${max}`);
}

function readMining(mining: DevnetSettings['mining'] = 'off'): MiningPlan {
  if (mining === 'off' || mining === 'on-tx') return { kind: mining };
  if (typeof mining === 'number') {
    return { kind: 'interval', intervalMs: readCount('mining', mining, MIN_BLOCK_TIME_MS, MAX_BLOCK_TIME_MS) };
  }
  throw usageError(`mining: "${String(mining)}" is not for regtest`, "use 'off', 'on-tx' or milliseconds");
}

/** Where blocks cost work. */
function readWork(mining: DevnetSettings['mining'] = 'off', nodes: number, network: string): MiningPlan {
  if (mining === 'off') return { kind: 'off' };
  if (mining === 'work') return { kind: 'work', miners: readMiners(undefined, undefined, nodes) };
  if (typeof mining === 'string' && mining !== 'on-tx') {
    return { kind: 'work', miners: readMiners([mining], undefined, nodes) };
  }
  const hint = "use 'off', 'work', or who searches with what: 'n0=60,n1=40'";
  throw usageError(`mining: on ${network} blocks cost work, and its difficulty decides when they come`, hint);
}

function readAmount(amount: Amount): bigint {
  if (typeof amount === 'bigint') return amount;
  if (typeof amount !== 'string') {
    throw usageError(`${String(amount)} has no unit`, "write '1.5btc', '5000sat', or satoshis as a bigint: 5000n");
  }
  const parsed = parseAmount(amount);
  if (parsed.ok) return parsed.value;
  throw new CliError(Exit.usage, parsed.error.code, parsed.error.message, parsed.error.hint);
}

/** Satoshis per virtual byte → per 1000 of them. */
function readFeeRate(rate: number | undefined): bigint | undefined {
  if (rate === undefined) return undefined;
  const parsed = parseFeeRate(String(rate));
  if (parsed.ok) return parsed.value;
  throw new CliError(Exit.usage, parsed.error.code, parsed.error.message, parsed.error.hint);
}

function readTime(word: string | Date | undefined): ClockOrder {
  if (word === undefined) return readClockOrder([]);
  if (typeof word === 'string') return readClockOrder(word.trim().split(/\s+/));
  const unix = word instanceof Date ? Math.floor(word.getTime() / 1000) : Number.NaN;
  if (Number.isSafeInteger(unix)) return { kind: 'set', unix };
  throw usageError(`${String(word)} is no time`, "give a Date, '+1h', '-30m' or 'resume'");
}

function nameOf(node: NodeRef): string;
function nameOf(node: NodeRef | undefined): string | undefined;
function nameOf(node: NodeRef | undefined): string | undefined {
  return typeof node === 'object' ? node.name : node;
}
