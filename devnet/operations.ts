/**
 * What can be done to a running devnet besides crashes and partitions: further nodes, payments, blocks, reorgs, the time,
 * waits. Each brings together the nodes, the accounts' keys, the clock and the mining of one devnet; the supervisor owns
 * those. Commands come here through calls.ts, other programs through library.ts.
 */
import { decodeAddress } from '../consensus/address.ts';
import { encodeHeader } from '../consensus/block.ts';
import { type ChainParams, COIN } from '../consensus/params.ts';
import { CliError, Exit, usageError } from '../node/commands/cli.ts';
import type { DevnetNode } from '../wallet/devnet-file.ts';
import type { Balance } from '../wallet/wallet-coins.ts';
import { type AccountKeys, FAUCET } from './accounts.ts';
import type { BlockProduction } from './block-production.ts';
import { costsWork } from './chain-choice.ts';
import type { ClockOrder } from './clock-setting.ts';
import type { ClockStatus, DevnetClock } from './devnet-clock.ts';
import { firstPorts } from './launch.ts';
import { Member, type MemberWatcher } from './member.ts';
import type { Network } from './network.ts';
import { type DevnetOptions, MAX_NODES } from './options.ts';
import type { Sides } from './partition.ts';
import { accountBalance, findAccount, type Payment, type PayOrder, pay } from './payments.ts';
import { freePorts } from './ports.ts';
import { premineHeight } from './premine.ts';
import type { Find } from './premine-work.ts';
import { listenUrl, type NodeSpec, nodeOfAgent } from './processes.ts';
import { type ReorgOrder, type ReorgResult, reorganise } from './reorg.ts';
import type { NodeStatus } from './status.ts';
import { describeLinks, type TopologyFile } from './topology-file.ts';
import {
  type TipReached,
  type TxReached,
  type TxWaitOptions,
  type WaitOptions,
  waitForSync,
  waitForTip,
  waitForTx,
} from './waits.ts';

/** What the faucet gives where no amount is named. */
export const FAUCET_AMOUNT = COIN;
/** A node that is added has so many tries to get a port that no other program takes meanwhile. */
const MAX_PORT_ATTEMPTS = 3;
/** The other nodes have this long to follow a reorg before the call returns anyway. */
const FOLLOW_TIMEOUT_MS = 8000;
/** Blocks asked for in one call: none takes long enough to time out. */
const BLOCKS_PER_CALL = 50;
const MAX_BLOCKS = 100_000;

/** An account with where its wallet lies. */
export type WalletAccount = AccountKeys & { readonly wallet: string };

/** The parts of a running devnet, which the supervisor owns. */
export interface DevnetParts {
  readonly options: DevnetOptions;
  readonly params: ChainParams;
  readonly production: BlockProduction;
  readonly clock: DevnetClock;
  network(): Network;
  /** The faucet is the last one. */
  accounts(): readonly WalletAccount[];
  /** Where a node of that name keeps its data and its log. */
  places(name: string): Pick<NodeSpec, 'datadir' | 'logFile' | 'chainFile'>;
  watcher(): MemberWatcher;
  /** Something that devnet.json says has changed. */
  onChange(): void;
}

export interface MineOrder {
  readonly count: number;
  /** The first that runs unless named. */
  readonly node?: string | undefined;
  /** An address or the name of an account; the faucet unless named. */
  readonly to?: string | undefined;
}

export interface Mined {
  readonly node: string;
  readonly address: string;
  readonly blocks: readonly string[];
}

export class Operations {
  readonly #parts: DevnetParts;

  constructor(parts: DevnetParts) {
    this.#parts = parts;
  }

  /** Starts a further node that dials `connect`, else the first one that runs. It is gone when the devnet starts again. */
  async add(connect?: string): Promise<NodeStatus> {
    const { options, params } = this.#parts;
    const network = this.#parts.network();
    if (network.members.length >= MAX_NODES) {
      throw usageError(`the devnet has ${MAX_NODES} nodes already`, 'more do not fit on one machine in any useful way');
    }
    const neighbour = this.#nodeFor(connect);
    const name = `n${Math.max(...network.names.map((known) => Number(known.slice(1)))) + 1}`;
    for (let attempt = 1; ; attempt++) {
      const taken = network.members.map(({ spec }) => spec.ports);
      const first = taken.reduce((last, ports) => (ports.rpc > last.rpc ? ports : last), firstPorts(options, params));
      const [ports] = await freePorts({ rpc: first.rpc + 2, listen: first.listen + 2 }, 1);
      const spec: NodeSpec = {
        name,
        network: params.name,
        ...this.#parts.places(name),
        ports: ports!,
        connect: [listenUrl(neighbour.spec.ports)],
        pex: options.topology.kind === 'pex',
      };
      try {
        return await network.add(new Member(spec, this.#parts.watcher()), neighbour.name);
      } catch (error) {
        const isTaken = error instanceof CliError && error.code === 'port-taken';
        if (!isTaken || attempt === MAX_PORT_ATTEMPTS) throw error;
      } finally {
        this.#parts.onChange();
      }
    }
  }

  /** Cuts one node off from all others. An earlier partition stays. */
  async isolate(node: string): Promise<void> {
    const network = this.#parts.network();
    network.member(node);
    await network.partition(isolated(node, network.sides, network.names));
  }

  /** Pays from an account of the devnet. */
  pay(order: PayOrder, node?: string): Promise<Payment> {
    const { name, rpc } = this.#nodeFor(node);
    return pay(order, this.#parts.accounts(), { name, rpc });
  }

  faucet(to: string, amount: bigint = FAUCET_AMOUNT, node?: string): Promise<Payment> {
    return this.pay({ from: FAUCET, to, amount }, node);
  }

  balance(account: string, node?: string): Promise<Balance> {
    return accountBalance(findAccount(this.#parts.accounts(), account), this.#nodeFor(node).rpc);
  }

  async mine({ count, node, to = FAUCET }: MineOrder): Promise<Mined> {
    if (!Number.isSafeInteger(count) || count < 1 || count > MAX_BLOCKS) {
      throw usageError(`${count} is no number of blocks`, `give a number from 1 to ${MAX_BLOCKS}`);
    }
    const member = this.#nodeFor(node);
    const address = this.#address(to);
    const blocks: string[] = [];
    while (blocks.length < count) {
      const some = Math.min(BLOCKS_PER_CALL, count - blocks.length);
      const mined = (await member.rpc.call('generatetoaddress', [some, address])) as readonly string[];
      blocks.push(...mined);
      if (mined.length === some) continue;
      throw new CliError(
        Exit.failed,
        'mining-gave-up',
        `only ${blocks.length} of ${count} blocks were found`,
        'try again',
      );
    }
    return { node: member.name, address, blocks };
  }

  /** Undoes the last blocks of a node by a heavier branch, and waits a while for the others on its side to follow. */
  reorg(order: ReorgOrder): Promise<ReorgResult> {
    const { options, params, production, clock } = this.#parts;
    const network = this.#parts.network();
    const member = this.#nodeFor(order.node);
    const accounts = this.#parts.accounts();
    const faucet = findAccount(accounts, FAUCET);
    return production.pausedFor(async () => {
      const side = network.answeringSides.find((names) => names.includes(member.name)) ?? [member.name];
      // A node that lags behind would undo blocks that the others have long built on.
      await network.waitUntil(async () => {
        const heights = (await network.statuses()).flatMap(({ name, height = 0 }) =>
          side.includes(name) ? height : [],
        );
        return ((await member.status()).height ?? 0) >= Math.max(...heights);
      }, FOLLOW_TIMEOUT_MS);
      const result = await withSearch(params, (search) =>
        reorganise(order, {
          node: member.name,
          rpc: member.rpc,
          params,
          premined: premineHeight(options.accounts),
          script: faucet.script,
          accounts,
          now: clock.now(),
          search,
        }),
      );
      const following: string[] = [];
      await network.waitUntil(async () => {
        for (const name of side) {
          if (following.includes(name) || !network.member(name).answers) continue;
          if ((await network.member(name).status()).tip === result.newTip.hash) following.push(name);
        }
        return side.every((name) => following.includes(name));
      }, FOLLOW_TIMEOUT_MS);
      return { ...result, nodes: side.filter((name) => following.includes(name)) };
    });
  }

  async time(order: ClockOrder): Promise<ClockStatus> {
    const { params } = this.#parts;
    if (costsWork(params) && order.kind !== 'show') {
      throw usageError(
        `the clocks of ${params.name} cannot be moved: its difficulty goes by the real time, and so do its nodes`,
        'use a devnet on regtest for that: grapevine devnet up --name other',
      );
    }
    return this.#parts.network().alone(() => this.#parts.clock.change(order));
  }

  /** The links as they are now, as a file for `up --topology`. */
  async topology(): Promise<TopologyFile> {
    const network = this.#parts.network();
    const outbound = new Map<string, readonly string[]>();
    for (const member of network.members) {
      if (!member.answers) continue;
      const peers = (await member.rpc.call('getpeerinfo')) as readonly { subver: string; inbound: boolean }[];
      const dialled = peers.filter(({ inbound }) => !inbound).flatMap(({ subver }) => nodeOfAgent(subver) ?? []);
      outbound.set(member.name, dialled);
    }
    return describeLinks(await network.statuses(), outbound);
  }

  waitForSync(options?: WaitOptions): Promise<TipReached> {
    return waitForSync(this.#parts.network(), options);
  }

  waitForTip(target: string | number, options?: WaitOptions): Promise<TipReached> {
    return waitForTip(this.#parts.network(), target, options);
  }

  waitForTx(txid: string, options?: TxWaitOptions): Promise<TxReached> {
    return waitForTx(this.#parts.network(), txid, options);
  }

  /** Where the nodes are and which of them run. */
  describe(): readonly DevnetNode[] {
    return this.#parts.network().members.map((member) => member.describe());
  }

  /** Any method of a node. */
  rpc(node: string, method: string, params: readonly unknown[]): Promise<unknown> {
    return this.#nodeFor(node).rpc.call(method, params);
  }

  /** The node that is named, else the first that takes calls. Throws where that one is down. */
  #nodeFor(name: string | undefined): Member {
    const network = this.#parts.network();
    if (name !== undefined) {
      const member = network.member(name);
      // Throws what to do if it is down.
      void member.rpc;
      return member;
    }
    const first = network.members.find((member) => member.answers);
    if (first !== undefined) return first;
    throw new CliError(Exit.unreachable, 'no-node', 'no node runs', 'restart one: grapevine devnet restart n0');
  }

  #address(to: string): string {
    const account = this.#parts.accounts().find(({ name }) => name === to);
    if (account !== undefined) return account.address;
    const script = decodeAddress(to, this.#parts.params);
    if (script.ok) return to;
    if (script.error.code === 'format') findAccount(this.#parts.accounts(), to);
    throw usageError(
      `blocks cannot pay to "${to}": ${script.error.message}`,
      'give an address or the name of an account',
    );
  }
}

/** With all processors, where blocks cost work. */
async function withSearch<T>(
  params: ChainParams,
  work: (search: { readonly find: Find; readonly rate: number } | undefined) => Promise<T>,
): Promise<T> {
  if (!costsWork(params)) return work(undefined);
  const { NonceSearch } = await import('../node/commands/nonce-search.ts');
  const search = new NonceSearch();
  try {
    const rate = await search.measure(encodeHeader(params.genesis.header));
    return await work({ find: (headerOf, bits) => search.find(headerOf, bits), rate });
  } finally {
    await search.close();
  }
}

/** The sides when `node` is alone and everybody else stays where they are. Pure. */
export function isolated(node: string, sides: Sides, names: readonly string[]): Sides {
  if (names.length === 1) throw usageError(`${node} is the only node`, 'add another: grapevine devnet add');
  const before = sides.length === 0 ? [names] : sides;
  const left = before.map((side) => side.filter((name) => name !== node)).filter((side) => side.length > 0);
  return [...left, [node]];
}
