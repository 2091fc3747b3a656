/**
 * One node of a devnet across its restarts: its name, ports and data stay, its process comes and goes.
 * Owns the process and the connection to its RPC.
 */
import { readFileSync } from 'node:fs';
import { CliError, Exit } from '../node/commands/cli.ts';
import type { DevnetNode } from '../wallet/devnet-file.ts';
import { RpcClient } from '../wallet/rpc-client.ts';
import { LOOPBACK } from './ports.ts';
import {
  describeExit,
  type LogLine,
  listenUrl,
  NodeProcess,
  type NodeReady,
  type NodeSpec,
  type NodeStart,
  nodeOfAgent,
} from './processes.ts';
import type { NodeStatus } from './status.ts';

/** A node that does not answer a question about its state within this time counts as unresponsive. */
const STATUS_TIMEOUT_MS = 5000;
/** Mining and block submission may wait for a busy machine. */
const CALL_TIMEOUT_MS = 60_000;

/** What a member tells its devnet. */
export interface MemberWatcher {
  onLog(member: Member, line: LogLine): void;
  /** It answers. */
  onStart(member: Member): void;
  /** Its process has ended; `how` is for people. */
  onExit(member: Member, how: string): void;
}

/** A running process with the connection to it. */
interface Run {
  readonly process: NodeProcess;
  readonly cookie: string;
  readonly client: RpcClient;
  /** Its answers to questions, which must not wait behind a long call. */
  readonly observer: RpcClient;
}

export class Member {
  readonly spec: NodeSpec;
  readonly #watcher: MemberWatcher;
  #process: NodeProcess | undefined;
  #run: Run | undefined;
  /** True once the devnet itself ends the process. */
  #ending = false;
  #lastExit = 'has not been started';
  /** Where its cookie was last. */
  #cookie = '';

  constructor(spec: NodeSpec, watcher: MemberWatcher) {
    this.spec = spec;
    this.#watcher = watcher;
  }

  get name(): string {
    return this.spec.name;
  }

  /** True from `start` until the process has ended. */
  get running(): boolean {
    return this.#process?.running === true;
  }

  /** How its process ended the last time, in words that follow its name. */
  get lastExit(): string {
    return this.#lastExit;
  }

  /** True while it takes calls. */
  get answers(): boolean {
    return this.#run !== undefined;
  }

  /** Starts the process and resolves when it answers. Throws the node's own error if it ends before that. */
  async start(start: NodeStart): Promise<void> {
    this.#ending = false;
    const process = new NodeProcess(this.spec, start, (line) => this.#watcher.onLog(this, line));
    this.#process = process;
    process.exited.then((exit) => {
      this.#run?.client.close();
      this.#run?.observer.close();
      this.#run = undefined;
      this.#lastExit = this.#ending ? describeExit(exit) : `${describeExit(exit)}; its log is ${this.spec.logFile}`;
      this.#watcher.onExit(this, this.#lastExit);
    });
    const ready = await process.ready;
    if (!process.running) throw new CliError(Exit.failed, 'node-ended', `${this.name} ${this.#lastExit}`);
    this.#run = connect(process, ready);
    this.#cookie = this.#run.cookie;
    this.#watcher.onStart(this);
  }

  async stop(): Promise<void> {
    this.#ending = true;
    await this.#process?.stop();
  }

  async kill(): Promise<void> {
    this.#ending = true;
    await this.#process?.kill();
  }

  /** The connection for calls that do something. Throws if the node does not run. */
  get rpc(): RpcClient {
    if (this.#run !== undefined) return this.#run.client;
    throw new CliError(
      Exit.unreachable,
      'node-stopped',
      `${this.name} is stopped`,
      `start it again: grapevine devnet restart ${this.name}`,
    );
  }

  /** What the node says of itself. Never throws: a node that does not answer is a state too. */
  async status(): Promise<NodeStatus> {
    const run = this.#run;
    const known = { name: this.name, rpc: this.#rpcEndpoint, listen: [listenUrl(this.spec.ports)] };
    if (run === undefined) return { ...known, state: 'stopped', pid: null };
    const pid = run.process.pid ?? null;
    try {
      const [chain, peers, pool] = await run.observer.batch([
        ['getblockchaininfo', []],
        ['getpeerinfo', []],
        ['getmempoolinfo', []],
      ]);
      const { blocks, bestblockhash } = chain as { blocks: number; bestblockhash: string };
      return {
        ...known,
        state: 'running',
        pid,
        height: blocks,
        tip: bestblockhash,
        peers: peerNames(peers as readonly PeerInfo[]),
        mempool: (pool as { size: number }).size,
      };
    } catch (error) {
      if (!(error instanceof CliError)) throw error;
      // It may have ended while it was asked.
      return this.running ? { ...known, state: 'unresponsive', pid } : { ...known, state: 'stopped', pid: null };
    }
  }

  /** Its entry in devnet.json. */
  describe(): DevnetNode {
    return {
      name: this.name,
      state: this.#run === undefined ? 'stopped' : 'running',
      pid: this.#run?.process.pid ?? null,
      rpc: this.#rpcEndpoint,
      listen: [listenUrl(this.spec.ports)],
      cookie: this.#cookie,
      datadir: this.spec.datadir,
    };
  }

  get #rpcEndpoint(): string {
    return `${LOOPBACK}:${this.spec.ports.rpc}`;
  }
}

interface PeerInfo {
  readonly addr: string;
  readonly subver: string;
}

/** Each peer once, in a fixed order: two links to one node are one peer. */
function peerNames(peers: readonly PeerInfo[]): string[] {
  const names = new Set(peers.flatMap(({ addr, subver }) => (subver === '' ? [] : [nodeOfAgent(subver) ?? addr])));
  return [...names].sort((a, b) => a.localeCompare(b, 'en', { numeric: true }));
}

function connect(process: NodeProcess, ready: NodeReady): Run {
  const target = {
    endpoint: `${LOOPBACK}:${process.spec.ports.rpc}`,
    credentials: readFileSync(ready.cookie, 'utf8').trim(),
    cookieFile: ready.cookie,
  };
  return {
    process,
    cookie: ready.cookie,
    client: new RpcClient(target, CALL_TIMEOUT_MS),
    observer: new RpcClient(target, STATUS_TIMEOUT_MS),
  };
}
