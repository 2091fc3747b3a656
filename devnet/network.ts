/**
 * The nodes of a devnet as one network, and what can be done to it: crash, restart, partition, heal. Owns the list of
 * nodes and the partition. It restarts nothing by itself: a node that ends stays down until somebody says so.
 */
import { CliError, Exit, usageError } from '../node/commands/cli.ts';
import { type LinkOrder, type SlowLink, SlowLinks } from './links.ts';
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
  readonly #members: Member[];
  /** Where a node's clock stands when it starts, in seconds; undefined for the real time. */
  readonly #mockTime: () => number | undefined;
  #sides: Sides = [];
  readonly #slowLinks = new SlowLinks();
  #closed = false;
  /** What changes something runs one after the other. */
  #queue: Promise<unknown> = Promise.resolve();

  constructor(members: readonly Member[], mockTime: () => number | undefined = () => undefined) {
    this.#members = [...members];
    this.#mockTime = mockTime;
  }

  get members(): readonly Member[] {
    return this.#members;
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
    const mockTime = this.#mockTime();
    // Whoever met its peers before it knew how things are would join what is divided, and miss what is slow.
    const offline = this.#sides.length > 0 || this.#slowLinks.list().length > 0 || mockTime !== undefined;
    await member.start({ offline, mockTime });
    if (this.#slowLinks.list().length > 0) await this.#slowDown(member);
    if (this.#sides.length > 0) await this.#deny(member);
    if (offline) await member.rpc.call('setnetworkactive', [true]);
  }

  /** Starts a node that was not there before, on the side of `neighbour`, and waits a while for it to catch up. */
  add(member: Member, neighbour: string): Promise<NodeStatus> {
    return this.alone(async () => {
      if (this.#closed) throw interrupted();
      this.#members.push(member);
      if (this.#sides.length > 0) {
        const joined = this.#sides.map((side) => (side.includes(neighbour) ? [...side, member.name] : side));
        this.#sides = joined.flat().includes(member.name) ? joined : [...joined, [neighbour, member.name]];
      }
      try {
        // Those on the other sides refuse it by name before it comes to life.
        if (this.#sides.length > 0) await Promise.all(this.running.map((other) => this.#deny(other)));
        await this.start(member);
      } catch (error) {
        await member.stop();
        this.#members.splice(this.#members.indexOf(member), 1);
        throw error;
      }
      return this.#settled(member);
    });
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
    return this.alone(async () => {
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
    return this.alone(async () => {
      const member = this.member(name);
      await member.stop();
      await this.start(member);
      return this.#settled(member);
    });
  }

  /** Waits a while for a node that was started to link with its side and to catch up. */
  async #settled(member: Member): Promise<NodeStatus> {
    const { name } = member;
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
  }

  /** Cuts all links between the sides. Replaces an earlier partition. */
  partition(sides: Sides): Promise<void> {
    return this.alone(async () => {
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
    return this.alone(async () => {
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

  /** Makes the link between two nodes slow, or fast again, whether there is one now or not. */
  link(a: string, b: string, order: LinkOrder): Promise<void> {
    return this.alone(async () => {
      const ends = [this.member(a), this.member(b)];
      if (a === b) throw usageError(`${a} has no link with itself`, 'name two nodes');
      this.#slowLinks.set(a, b, order);
      await Promise.all(ends.filter(({ answers }) => answers).map((member) => this.#slowDown(member)));
    });
  }

  /** How things were when they were saved. Before any node is started. */
  restore(sides: Sides, links: readonly SlowLink[]): void {
    this.#sides = sides;
    for (const { a, b, ...order } of links) this.#slowLinks.set(a, b, order);
  }

  get slowLinks(): readonly SlowLink[] {
    return this.#slowLinks.list();
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

  /** Runs `work` while nobody else changes the network. */
  alone<T>(work: () => Promise<T>): Promise<T> {
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

  /** Tells a node over which links it sends slowly. */
  async #slowDown(member: Member): Promise<void> {
    await member.rpc.call('setlink', [this.#slowLinks.rulesFor(member.name)]);
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
