/**
 * Targets: the whole core. Three honest nodes on the simulated network, and strangers that do what grammar.ts makes up.
 * Afterwards the honest nodes must have one tip, pass on a block and a transaction, and have lost none of their peers.
 */
import type { Hash } from 'node:crypto';
import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import { bytesToHex } from '#hash';
import { encodeAddress } from '../../consensus/address.ts';
import { regtest } from '../../consensus/params.ts';
import { encodeTransaction } from '../../consensus/transaction.ts';
import { Network, type SimNode } from '../../devnet/sim/network.ts';
import type { Millis, PeerId } from '../../node/boundary.ts';
import { type Limits, localLimits } from '../../node/limits.ts';
import type { Core } from '../../node/ports.ts';
import { pay, spend, testKey } from '../support/chain-builder.ts';
import {
  frameOf,
  HONEST,
  HONEST_HOSTS,
  offerOf,
  PORT,
  pick,
  type Session,
  STRANGER_HOSTS,
  STRANGERS,
  type Step,
  session,
} from './grammar.ts';
import { type Material, material } from './material.ts';
import { newDigest, noPeaks, ObservedCore, type Peaks } from './observed-core.ts';
import { greeting, MAX_LINKS, Stranger } from './stranger.ts';
import { demand, type Target, target } from './target.ts';

/** Small, so that floods reach the bounds, and all kinds of links are made among six. */
const limits: Limits = {
  ...localLimits,
  maxInbound: 40,
  maxOutboundFull: 1,
  maxOutboundBlockOnly: 1,
  feelerIntervalMs: 1000,
  extraBlockOnlyIntervalMs: 3000,
  addrTokensPerSecond: 1000,
  blockTimeoutMs: 10_000,
  maxMessageBytes: 2_000_000,
  maxPartialBytes: 3_000_000,
  maxSendBufferBytes: 50_000,
  maxDiscouraged: 2,
  newBuckets: 32,
  triedBuckets: 8,
  bucketSize: 8,
  newBucketsPerSourceGroup: 8,
  triedBucketsPerGroup: 4,
  maxTriedCollisions: 4,
  knownAddressesPerPeer: 200,
  maxTxAnnouncementsPerPeer: 500,
  knownTxPerPeer: 1000,
};
/** The longest piece in which bytes of a stranger come: a message, or a flood of small ones (grammar.ts). */
const MAX_PIECE_BYTES = limits.maxMessageBytes + 200_000;
const bounds = {
  maxActions: 3000,
  // Above the limit of the buffer: one message that was begun, and what is sent unasked.
  maxWaiting: limits.maxSendBufferBytes + 200_000,
  // Of a machine that is busy with something else: what takes as long as this is seen to grow with what comes.
  maxEventMs: 3000,
};
/** What getpeerinfo may show as a peer's memory: what waits for it, what has come in part and behind that, what it knows. */
const MAX_PEER_BYTES =
  bounds.maxWaiting + limits.maxMessageBytes + MAX_PIECE_BYTES + 500 * limits.maxTxAnnouncementsPerPeer + 100_000;
const MAX_NEW_ADDRESSES = limits.newBuckets * limits.bucketSize;
const MAX_TRIED_ADDRESSES = limits.triedBuckets * limits.bucketSize;
/**
 * Until a block and a transaction have reached all honest nodes, whatever strangers promised and did not keep. Each link on
 * which one owes a block of its own makes the patience with all longer (RULES C4, "block download"); twice that, since what
 * is next may be owed too.
 */
const RELAY_MS: Millis = 2 * limits.blockTimeoutMs * (1 + 0.5 * STRANGERS * MAX_LINKS);
const SETTLE_MS: Millis = 20_000;
/** Blocks that are mined until all have one tip. */
const MAX_TIES = 4;
const POLL_MS: Millis = 50;
const BAN_SECONDS = 3600;

interface Peer {
  readonly id: PeerId;
  readonly inbound: boolean;
  readonly connection_type: string;
  /** 0 until the handshake is complete. */
  readonly version: number;
  readonly inflight: readonly number[];
  readonly memory: number;
}

interface AddressCounts {
  readonly all_networks: { readonly new: number; readonly tried: number };
}

class SessionRun {
  readonly network: Network;
  readonly peaks: Peaks = noPeaks();
  readonly violations: string[] = [];
  readonly #digest: Hash = newDigest();
  readonly #material: Material;
  readonly #honest: SimNode[] = [];
  readonly #observed = new Map<SimNode, ObservedCore>();
  readonly #strangers: { readonly node: SimNode; readonly stranger: Stranger; stalled: boolean }[] = [];
  #payments = 0;

  constructor({ seed }: Session) {
    this.#material = material();
    this.network = new Network({ params: regtest, seed, limits, startUnix: this.#material.startUnix });
    HONEST_HOSTS.forEach((host, i) => {
      const peers = Array.from({ length: i }, (_, n) => `h${n}`);
      const node = this.network.add(`h${i}`, { peers, endpoint: { host, port: PORT } }, this.#material.stored());
      this.#honest.push(node);
      this.#observe(node);
    });
    STRANGER_HOSTS.forEach((host, i) => {
      const node = this.network.add(`s${i}`, { endpoint: { host, port: PORT } });
      this.network.kill(node);
      const stranger = new Stranger(this.#material);
      node.core = stranger;
      this.#strangers.push({ node, stranger, stalled: false });
    });
    this.#waitForHonestLinks();
  }

  run(steps: readonly Step[]): void {
    for (const step of steps) {
      this.#step(step);
      this.network.run(step.do === 'wait' ? step.ms : 20);
      for (const node of this.#honest) this.#checkBounds(node);
      this.#checkViolations();
    }
  }

  /** All strangers leave, and what only the simulation keeps is dropped. */
  endRound(): void {
    for (const { node, stranger } of this.#strangers) {
      for (const peer of stranger.links) stranger.plan({ type: 'disconnect', peer, reason: 'the stranger leaves' });
      void this.network.call(node, 'act');
    }
    this.network.run(100);
    for (const node of this.#honest) {
      node.notices.length = 0;
      // Of memory: what a crash would take back is no longer kept.
      void node.store.flush();
    }
  }

  /** The network must be as good as it was. */
  finish(): string {
    const { network } = this;
    network.run(2000);
    this.#checkViolations();
    const address = encodeAddress(testKey(3).publicKey, regtest.hrp);
    // Of blocks with equal work each node keeps the one that it saw first, so a stranger may cause a tie: the next decides.
    const ask = (method: string) => new Set(this.#honest.map(({ name }) => network.rpc(name, method)));
    let blocks = 0;
    do {
      demand(blocks++ < MAX_TIES, 'the honest nodes have no tip in common');
      network.rpc('h1', 'generatetoaddress', [1, address]);
      this.#until(() => ask('getblockcount').size === 1, 'one height');
    } while (ask('getbestblockhash').size > 1);
    const { lastPayment } = this.#material;
    network.rpc('h2', 'sendrawtransaction', [bytesToHex(encodeTransaction(lastPayment))]);
    const has = ({ name }: SimNode) => network.rpc<string[]>(name, 'getrawmempool').includes(lastPayment.txid);
    this.#until(() => this.#honest.every(has), 'the last payment everywhere');
    for (const node of this.#honest) this.#checkBounds(node);
    this.#checkViolations();
    return this.#digest.copy().digest('hex');
  }

  /** What strangers can make a node hold: links, memory of each, blocks asked of each, addresses. */
  #checkBounds({ name }: SimNode): void {
    const peers = this.#peersOf(name);
    const inbound = peers.filter((peer) => peer.inbound).length;
    // A link that has to go is shown until it is gone.
    demand(inbound <= 2 * limits.maxInbound, `${name} has ${inbound} inbound links`);
    // Beyond the slots: a feeler, an extra link of each kind, and links that the user asked for.
    const most = limits.maxOutboundFull + limits.maxOutboundBlockOnly + HONEST + 4;
    const outbound = peers.length - inbound;
    demand(outbound <= most, `${name} has ${outbound} outbound links`);
    for (const { id, inflight, memory } of peers) {
      const asked = inflight.length;
      demand(asked <= limits.blocksInFlightPerPeer, `${name} has asked peer ${id} for ${asked} blocks`);
      this.peaks.memory = Math.max(this.peaks.memory, memory);
      demand(memory <= MAX_PEER_BYTES, `peer ${id} of ${name} takes ${memory} bytes`);
    }
    const addresses = this.network.rpc<AddressCounts>(name, 'getaddrmaninfo').all_networks;
    this.peaks.addresses = Math.max(this.peaks.addresses, addresses.new + addresses.tried);
    demand(addresses.new <= MAX_NEW_ADDRESSES, `${name} has heard of ${addresses.new} addresses`);
    demand(addresses.tried <= MAX_TRIED_ADDRESSES, `${name} has reached ${addresses.tried} addresses`);
  }

  #peersOf(name: string): Peer[] {
    return this.network.rpc<Peer[]>(name, 'getpeerinfo');
  }

  /** From now on its core is watched. */
  #observe(node: SimNode): void {
    const observed = new ObservedCore({
      core: node.core as Core,
      name: node.name,
      bounds,
      digest: this.#digest,
      peaks: this.peaks,
      violations: this.violations,
      watch: {
        honest: (peer) => {
          const other = otherEnd(node, peer);
          return other !== undefined && this.#honest.includes(other) ? other.name : undefined;
        },
        stalled: (peer) => {
          const other = otherEnd(node, peer);
          return this.#strangers.some((one) => one.node === other && one.stalled);
        },
      },
    });
    node.core = observed;
    this.#observed.set(node, observed);
  }

  /** Every two honest nodes have a link that the user of one asked for, and it must stay. */
  #waitForHonestLinks(): void {
    const { network } = this;
    const asked = (node: SimNode) =>
      this.#peersOf(node.name).filter((peer) => peer.connection_type === 'manual' && peer.version > 0);
    const isLinked = () => this.#honest.every((node, i) => asked(node).length === i);
    for (let waited = 0; !isLinked(); waited += POLL_MS) {
      demand(waited < SETTLE_MS, 'the honest nodes have no links with each other');
      network.run(POLL_MS);
    }
    network.run(1000);
    for (const node of this.#honest) {
      for (const { id } of asked(node)) {
        const other = node.links.get(id)?.other;
        this.#observed.get(node)?.pin(id);
        if (other !== undefined && 'node' in other) this.#observed.get(other.node)?.pin(other.peer);
      }
    }
  }

  #step(step: Step): void {
    switch (step.do) {
      case 'wait':
        return;
      case 'mine': {
        const address = encodeAddress(testKey(2).publicKey, regtest.hrp);
        this.#call(step.at, 'generatetoaddress', [1, address]);
        return;
      }
      case 'pay': {
        // The same coins as those of strangers, so that some of it is refused.
        const coin = this.#material.chain.coinbase(2 + (this.#payments++ % 7));
        const tx = spend([coin], [pay(testKey(4), coin.value - 20_000n - BigInt(this.#payments))]);
        this.#call(step.at, 'sendrawtransaction', [bytesToHex(encodeTransaction(tx))]);
        return;
      }
      case 'crash':
      case 'restart': {
        for (const observed of this.#observed.values()) observed.unpin();
        const node = pick(this.#honest, step.at);
        if (step.do === 'crash') this.network.kill(node);
        else this.network.stop(node);
        this.network.run(100);
        node.notices.length = 0;
        this.network.start(node);
        this.#observe(node);
        this.#waitForHonestLinks();
        return;
      }
      case 'ban':
        this.#call(step.at, 'setban', [pick(STRANGER_HOSTS, step.who), 'add', BAN_SECONDS]);
        return;
      case 'forgive':
        this.#call(step.at, 'setban', [pick(STRANGER_HOSTS, step.who), 'remove']);
        return;
      default:
        return this.#hostile(step);
    }
  }

  #call(at: number, method: string, params: readonly unknown[]): void {
    void this.network.call(pick(this.#honest, at), method, params);
  }

  #hostile(step: Exclude<Step, { do: 'wait' | 'mine' | 'pay' | 'crash' | 'restart' | 'ban' | 'forgive' }>): void {
    const one = this.#strangers[step.who % STRANGERS];
    if (one === undefined) return;
    const { node, stranger } = one;
    const { now } = this.network;
    const peer = 'link' in step ? stranger.link(step.link) : undefined;
    switch (step.do) {
      case 'open':
        for (let i = 0; i < step.count; i++) stranger.planDial(pick(this.#honest, step.to).endpoint, step.greets);
        break;
      case 'close':
        if (peer !== undefined) stranger.plan({ type: 'disconnect', peer, reason: 'the stranger leaves' });
        break;
      case 'hello':
        if (peer === undefined) break;
        stranger.planMessages(peer, greeting(now.unix, BigInt(step.who) * 100n + BigInt(step.link) + 7n, step.relay));
        break;
      case 'offer':
        if (peer !== undefined) stranger.planMessages(peer, offerOf(step));
        break;
      case 'send':
        if (peer !== undefined) stranger.planSend(peer, frameOf(step, stranger.circumstances(now)), step.piece);
        break;
      case 'answer':
        stranger.answers = step.how;
        break;
      case 'stall':
        one.stalled = step.stalled;
        if (!step.stalled) this.#release();
        break;
    }
    void this.network.call(node, 'act');
  }

  /** What was kept back is acknowledged by the next byte that leaves; a ping makes sure that there is one. */
  #release(): void {
    for (let at = 0; at < HONEST; at++) this.#call(at, 'ping', []);
  }

  #until(condition: () => boolean, what: string): void {
    this.network.runUntil(condition, RELAY_MS, what);
  }

  #checkViolations(): void {
    demand(this.violations.length === 0, this.violations.join('\n'));
  }
}

function otherEnd(node: SimNode, peer: PeerId): SimNode | undefined {
  const other = node.links.get(peer)?.other;
  return other !== undefined && 'node' in other ? other.node : undefined;
}

/** Rounds until everything that is bounded has reached its bound, and those that follow. */
const WARM_UP_ROUNDS = 100;
const ROUNDS = 300;
/** Bytes that a round may leave behind. What belongs to a link or a peer and is forgotten takes more. */
const MAX_LEFT_PER_ROUND = 2000;

/** First the address tables are filled, by all strangers and with addresses of all kinds: they may be as large as that. */
const FILLING: readonly Step[] = [
  ...eachLink(({ who, link }) => ({ do: 'open', who, to: link, greets: true, count: 1 })),
  { do: 'wait', ms: 1000 },
  ...[2, 3, 6, 8, 9, 13].flatMap((kind): Step[] => [
    ...eachLink(({ who, link }) => {
      const message = { say: 'addrv2', kind, count: 1000, age: 60 } as const;
      return { do: 'send', who, link, message, times: 1, edits: [], frameEdits: [], piece: 0 };
    }),
    { do: 'wait', ms: 3000 },
  ]),
];

/** A step for each link of strangers, of which every one has as many as there are honest nodes. */
function eachLink(step: (of: { readonly who: number; readonly link: number }) => Step): Step[] {
  return STRANGER_HOSTS.flatMap((_, who) => HONEST_HOSTS.map((_, link) => step({ who, link })));
}

/** The same steps again and again, on links that are closed and made again. */
function checkGrowth(value: Session): void {
  const run = new SessionRun(value);
  // What honest people do makes the chain grow, and may.
  const steps = value.steps.filter(
    (step) => !['mine', 'pay', 'crash', 'restart'].includes(step.do) && !(step.do === 'wait' && step.ms > 5000),
  );
  run.run(FILLING);
  run.endRound();
  const rounds = (count: number) => {
    for (let i = 0; i < count; i++) {
      run.run(steps);
      run.endRound();
    }
  };
  rounds(WARM_UP_ROUNDS);
  const before = heldBytes();
  rounds(ROUNDS);
  const left = Math.round((heldBytes() - before) / ROUNDS);
  demand(left <= MAX_LEFT_PER_ROUND, `each round leaves ${left} bytes behind`);
  run.finish();
}

let collect: (() => void) | undefined;

/** What is in memory and still needed. */
function heldBytes(): number {
  if (collect === undefined) {
    setFlagsFromString('--expose-gc');
    collect = runInNewContext('gc') as () => void;
  }
  for (let i = 0; i < 3; i++) collect();
  const { heapUsed, arrayBuffers } = process.memoryUsage();
  return heapUsed + arrayBuffers;
}

/** Greatest figures of all sessions so far, for whoever runs many. */
export const sessionPeaks: Peaks = noPeaks();

function runSession(value: Session): string {
  const run = new SessionRun(value);
  run.run(value.steps);
  const digest = run.finish();
  for (const name of Object.keys(sessionPeaks) as (keyof Peaks)[]) {
    sessionPeaks[name] = Math.max(sessionPeaks[name], run.peaks[name]);
  }
  return digest;
}

export const sessionTargets: readonly Target[] = [
  target<Session>({
    name: 'session',
    about: 'three honest nodes among strangers: nobody throws, grows, or punishes the honest',
    runs: 20,
    deadlineMs: 20_000,
    share: 10,
    cases: session(40),
    check: (value) => void runSession(value),
  }),
  target<Session>({
    name: 'replay',
    about: 'the same session twice: the same seed, the same trace',
    runs: 5,
    deadlineMs: 20_000,
    cases: session(20),
    check: (value) => {
      const first = runSession(value);
      demand(runSession(value) === first, 'the second run went another way');
    },
  }),
  target<Session>({
    name: 'growth',
    about: 'the same steps hundreds of times: nothing is left behind',
    runs: 1,
    deadlineMs: 120_000,
    share: 4,
    longOnly: true,
    cases: session(12),
    check: checkGrowth,
  }),
];
