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
import { Network, SimNode } from '../../devnet/sim/network.ts';
import type { Millis, PeerId } from '../../node/boundary.ts';
import { type Limits, localLimits } from '../../node/limits.ts';
import type { Core } from '../../node/ports.ts';
import { pay, spend, testKey } from '../support/chain-builder.ts';
import { frameOf, HONEST, offerOf, type Session, STRANGERS, type Step, session } from './grammar.ts';
import { type Material, material } from './material.ts';
import { newDigest, ObservedCore, type Peaks } from './observed-core.ts';
import { greeting, Stranger } from './stranger.ts';
import { demand, type Target, target } from './target.ts';

/** Small, so that floods reach the bounds. */
const limits: Limits = { ...localLimits, maxSendBufferBytes: 50_000 };
/** Above the limit of the buffer: one message that was begun, and what is sent unasked. */
const bounds = { maxActions: 3000, maxWaiting: limits.maxSendBufferBytes + 200_000 };
/** Until a block and a transaction have reached all honest nodes, whatever strangers promised and did not keep. */
const RELAY_MS: Millis = 180_000;
const SETTLE_MS: Millis = 20_000;

interface Peer {
  readonly id: number;
  readonly inflight: readonly number[];
}

class SessionRun {
  readonly network: Network;
  readonly peaks: Peaks = { actions: 0, waiting: 0, eventMs: 0 };
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
    for (let i = 0; i < HONEST; i++) {
      const others = Array.from({ length: i }, (_, n) => `h${n}`);
      const node = this.#place(`h${i}`, { peers: others });
      Object.assign(node, this.#material.stored());
      this.#honest.push(node);
      this.#start(node);
    }
    for (let i = 0; i < STRANGERS; i++) {
      const node = this.#place(`s${i}`, {});
      const stranger = new Stranger(this.#material);
      node.core = stranger;
      this.#strangers.push({ node, stranger, stalled: false });
    }
    this.#waitForHonestLinks();
  }

  run(steps: readonly Step[]): void {
    for (const step of steps) {
      this.#step(step);
      this.network.run(step.do === 'wait' ? step.ms : 20);
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
    for (const node of this.#honest) node.notices.length = 0;
  }

  /** The network must be as good as it was. */
  finish(): string {
    const { network } = this;
    network.run(2000);
    this.#checkViolations();
    const address = encodeAddress(testKey(3).publicKey, regtest.hrp);
    network.rpc('h1', 'generatetoaddress', [1, address]);
    const tip = (name: string) => network.rpc<string>(name, 'getbestblockhash');
    this.#until(() => new Set(this.#honest.map(({ name }) => tip(name))).size === 1, 'one tip');
    const { lastPayment } = this.#material;
    network.rpc('h2', 'sendrawtransaction', [bytesToHex(encodeTransaction(lastPayment))]);
    const has = ({ name }: SimNode) => network.rpc<string[]>(name, 'getrawmempool').includes(lastPayment.txid);
    this.#until(() => this.#honest.every(has), 'the last payment everywhere');
    for (const { name } of this.#honest) {
      const peers = network.rpc<Peer[]>(name, 'getpeerinfo');
      const most = limits.maxInbound + limits.maxOutboundFull + limits.maxOutboundBlockOnly + HONEST + 4;
      demand(peers.length <= most, `${name} has ${peers.length} peers`);
      for (const { id, inflight } of peers) {
        demand(
          inflight.length <= limits.blocksInFlightPerPeer,
          `${name} has asked peer ${id} for ${inflight.length} blocks`,
        );
      }
    }
    this.#checkViolations();
    return this.#digest.copy().digest('hex');
  }

  #place(name: string, options: SimNode['options']): SimNode {
    const node = new SimNode(name, { host: '127.0.0.1', port: 20_000 + this.network.nodes.size }, options);
    this.network.nodes.set(name, node);
    return node;
  }

  #start(node: SimNode): void {
    this.network.start(node);
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

  /** Every two honest nodes have a link, and it must stay: at one end it was asked for by the user. */
  #waitForHonestLinks(): void {
    const linked = (node: SimNode) =>
      new Set(
        [...node.links.keys()]
          .map((peer) => otherEnd(node, peer))
          .filter((other) => this.#honest.includes(other as SimNode)),
      );
    this.network.runUntil(
      () => this.#honest.every((node) => linked(node).size === HONEST - 1 && this.#hasGreeted(node)),
      SETTLE_MS,
      'links between all honest nodes',
    );
    this.network.run(1000);
    for (const node of this.#honest) {
      for (const peer of node.links.keys()) {
        const other = otherEnd(node, peer);
        if (other !== undefined && this.#honest.includes(other)) this.#observed.get(node)?.pin(peer);
      }
    }
  }

  #hasGreeted(node: SimNode): boolean {
    const greeted = node.notices.filter(({ kind }) => kind === 'peer').length;
    return greeted >= HONEST - 1;
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
      case 'restart': {
        for (const observed of this.#observed.values()) observed.unpin();
        const node = this.#honest[step.at % HONEST] as SimNode;
        this.network.kill(node);
        this.network.run(100);
        node.notices.length = 0;
        this.#start(node);
        this.#waitForHonestLinks();
        return;
      }
      default:
        return this.#hostile(step);
    }
  }

  #call(at: number, method: string, params: readonly unknown[]): void {
    void this.network.call(this.#honest[at % HONEST] as SimNode, method, params);
  }

  #hostile(step: Exclude<Step, { do: 'wait' | 'mine' | 'pay' | 'restart' }>): void {
    const one = this.#strangers[step.who % STRANGERS];
    if (one === undefined) return;
    const { node, stranger } = one;
    const { now } = this.network;
    const peer = 'link' in step ? stranger.link(step.link) : undefined;
    switch (step.do) {
      case 'open':
        stranger.planDial((this.#honest[step.to % HONEST] as SimNode).endpoint, step.greets);
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
  return node.links.get(peer)?.other.end?.node;
}

/** Rounds until everything that is bounded has reached its bound, and those that follow. */
const WARM_UP_ROUNDS = 100;
const ROUNDS = 300;
/** Bytes that a round may leave behind. What belongs to a link or a peer and is forgotten takes more. */
const MAX_LEFT_PER_ROUND = 2000;

/** The same steps again and again, on links that are closed and made again. */
function checkGrowth(value: Session): void {
  const run = new SessionRun(value);
  // What honest people do makes the chain grow, and may.
  const steps = value.steps.filter(
    (step) => !['mine', 'pay', 'restart'].includes(step.do) && !(step.do === 'wait' && step.ms > 5000),
  );
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
export const sessionPeaks: Peaks = { actions: 0, waiting: 0, eventMs: 0 };

function runSession(value: Session): string {
  const run = new SessionRun(value);
  run.run(value.steps);
  const digest = run.finish();
  for (const name of ['actions', 'waiting', 'eventMs'] as const) {
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
