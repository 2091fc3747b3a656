/**
 * The nodes of a devnet as one network, and what can be done to it: crash, restart, partition, heal. Owns the list of
 * nodes and the partition. It restarts nothing by itself: a node that ends stays down until somebody says so.
 */
import { CliError, Exit, usageError } from '../node/commands/cli.ts';
import type { Member } from './member.ts';
import { checkSides, deniedNodes, type Sides } from './partition.ts';
import { LOOPBACK } from './ports.ts';
import type { NodeStatus } from './status.ts';

/** Between two looks at nodes for which something is waited. */
const POLL_MS = 40;
/** Nodes close denied links at once; this is for a machine that is busy. */
const CUT_TIMEOUT_MS = 10_000;
/** A restarted node has this long to catch up, and a healed network to agree, before the call returns anyway. */
const SETTLE_TIMEOUT_MS = 8000;
/** Branches of equal work stay until the next block. Heights that are equal for this long are taken for that. */
const TIE_TIMEOUT_MS = 2500;

export class Network {
  readonly members: readonly Member[];
  #sides: Sides = [];
  #closed = false;
  /** What changes something runs one after the other. */
  #queue: Promise<unknown> = Promise.resolve();

  constructor(members: readonly Member[]) {
    this.members = members;
  }

  /** The sides of the partition; empty without one. */
  get sides(): Sides {
    return this.#sides;
  }

  get names(): readonly string[] {
    return this.members.map(({ name }) => name);
  }

  get running(): readonly Member[] {
    return this.members.filter((member) => member.running);
  }

  /** The nodes that take calls, by side; on one side without a partition. */
  get answeringSides(): Sides {
    const answering = this.members.filter((member) => member.answers).map(({ name }) => name);
    if (this.#sides.length === 0) return [answering];
    const loners = answering.filter((name) => !this.#sides.flat().includes(name)).map((name) => [name]);
    return [...this.#sides.map((side) => side.filter((name) => answering.includes(name))), ...loners];
  }

  /** The node of that name, or a usage error that lists the names. */
  member(name: string): Member {
    const member = this.members.find((candidate) => candidate.name === name);
    if (member !== undefined) return member;
    throw usageError(`there is no node "${name}"`, `the nodes are ${this.names.join(', ')}`);
  }

  statuses(): Promise<NodeStatus[]> {
    return Promise.all(this.members.map((member) => member.status()));
  }

  /** Every start goes through here: nothing may come to life behind the back of `stop`, which ends what runs. */
  async start(member: Member): Promise<void> {
    if (this.#closed) throw interrupted();
    await member.start();
  }

  /** Ends all nodes in order. None can be started after that. */
  async stop(): Promise<void> {
    this.#closed = true;
    await Promise.all(this.members.map((member) => member.stop()));
  }

  /** Ends all nodes at once. */
  killAll(): void {
    for (const member of this.members) void member.kill();
  }

  /** SIGKILL: the node saves nothing, as in a crash. */
  kill(name: string): Promise<NodeStatus> {
    return this.#exclusive(async () => {
      const member = this.member(name);
      if (!member.running) {
        const hint = `start it again: grapevine devnet restart ${name}`;
        throw new CliError(Exit.failed, 'node-stopped', `${name} is stopped already`, hint);
      }
      await member.kill();
      return member.status();
    });
  }

  /** Starts a stopped node again, or a running one anew, and waits a while for it to catch up with its side. */
  restart(name: string): Promise<NodeStatus> {
    return this.#exclusive(async () => {
      const member = this.member(name);
      await member.stop();
      await this.start(member);
      if (this.#sides.length > 0) await this.#deny(member);
      const denied = this.#denied(name);
      const others = this.running.filter((other) => other !== member && !denied.includes(other.name));
      const hasCaughtUp = async () => {
        const [mine, ...theirs] = await Promise.all([member, ...others].map((one) => one.status()));
        const best = Math.max(0, ...theirs.map(({ height }) => height ?? 0));
        const isLinked = others.length === 0 || (mine?.peers?.length ?? 0) > 0;
        return isLinked && (mine?.height ?? 0) >= best;
      };
      await this.waitUntil(hasCaughtUp, SETTLE_TIMEOUT_MS);
      return member.status();
    });
  }

  /** Cuts all links between the sides. Replaces an earlier partition. */
  partition(sides: Sides): Promise<void> {
    return this.#exclusive(async () => {
      const running = this.running;
      checkSides(
        sides,
        this.names,
        running.map(({ name }) => name),
      );
      this.#sides = sides;
      await Promise.all(running.map((member) => this.#deny(member)));
      const isCut = async () => (await this.statuses()).every((node) => !this.#reachesAcross(node));
      if (await this.waitUntil(isCut, CUT_TIMEOUT_MS)) return;
      throw new CliError(Exit.timeout, 'not-cut', 'some links between the sides are still open', 'see devnet status');
    });
  }

  /** Lets all nodes link again, and waits a while for them to agree on one tip. */
  heal(): Promise<void> {
    return this.#exclusive(async () => {
      this.#sides = [];
      await Promise.all(this.running.map((member) => this.#deny(member)));
      let tiedSince: number | undefined;
      const isSettled = async () => {
        const nodes = (await this.statuses()).filter(({ state }) => state === 'running');
        if (new Set(nodes.map(({ tip }) => tip)).size <= 1) return true;
        const isTied = new Set(nodes.map(({ height }) => height)).size === 1;
        tiedSince = isTied ? (tiedSince ?? performance.now()) : undefined;
        return tiedSince !== undefined && performance.now() - tiedSince > TIE_TIMEOUT_MS;
      };
      await this.waitUntil(isSettled, SETTLE_TIMEOUT_MS);
    });
  }

  /** True as soon as the condition holds, false after the time is over. Throws when the network is stopped. */
  async waitUntil(condition: () => Promise<boolean>, timeoutMs: number): Promise<boolean> {
    const giveUp = performance.now() + timeoutMs;
    for (;;) {
      if (this.#closed) throw interrupted();
      if (await condition()) return true;
      if (performance.now() > giveUp) return false;
      await new Promise((wake) => setTimeout(wake, POLL_MS));
    }
  }

  #exclusive<T>(work: () => Promise<T>): Promise<T> {
    const result = this.#queue.then(work);
    // The next one does not care how this one ended; its caller does.
    this.#queue = result.catch(() => undefined);
    return result;
  }

  /** Tells a node whom to keep away from: it refuses them by name and does not dial them by address. */
  async #deny(member: Member): Promise<void> {
    const names = this.#denied(member.name);
    const endpoints = names.map((name) => `${LOOPBACK}:${this.member(name).spec.ports.listen}`);
    await member.rpc.call('setdeny', [{ names, endpoints }]);
  }

  #denied(name: string): string[] {
    return deniedNodes(name, this.#sides, this.names);
  }

  #reachesAcross(node: NodeStatus): boolean {
    const denied = this.#denied(node.name);
    return (node.peers ?? []).some((peer) => denied.includes(peer));
  }
}

/** Whoever stopped the devnet knows why. */
export function interrupted(): CliError {
  return new CliError(Exit.failed, 'interrupted', 'the devnet was stopped meanwhile');
}
