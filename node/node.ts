/**
 * The node: routes events to the machines and their answers to actions. It adds no rule of its own; what is decided is
 * decided in chain/, mempool/, peer/, sync/, discovery/ and mining/. Pure: the same events give the same actions.
 *
 * Reading order: `handle` (every event), `#onMessage` (every peer message), then one section per flow: peers, blocks,
 * mining, and what requests ask for. The way of links and addresses is in overlay.ts, that of transactions in
 * transaction-flow.ts.
 */
import { type Block, type BlockHeader, blockSize } from '../consensus/block.ts';
import type { BlockHash, Bytes, Txid, Wtxid } from '../consensus/brand.ts';
import { outPointKey, unreachable } from '../consensus/brand.ts';
import type { ChainParams } from '../consensus/params.ts';
import type { Reject } from '../consensus/reject.ts';
import { CHECK_SIZE } from '../consensus/signature.ts';
import { type Coin, withoutWitness } from '../consensus/transaction.ts';
import type {
  Action,
  DialTarget,
  Endpoint,
  Event,
  JobId,
  Millis,
  Notice,
  Now,
  PeerId,
  Row,
  UnixSeconds,
  Verifier,
} from './boundary.ts';
import { type ChainProgress, ChainState, type ChainUpdate } from './chain/chain-state.ts';
import { type HeaderNode, HeaderTree } from './chain/header-tree.ts';
import { ANCHORS_KEY } from './discovery/anchors.ts';
import type { Effect } from './effect.ts';
import { ItemTrace } from './item-trace.ts';
import type { Limits } from './limits.ts';
import { Link } from './link.ts';
import { FEE_DELTAS_KEY } from './mempool/fee-deltas.ts';
import { Orphans } from './mempool/orphans.ts';
import { Mempool, type PoolTicket } from './mempool/pool.ts';
import { TxRelay } from './mempool/relay.ts';
import { SavedTransactions } from './mempool/saved-transactions.ts';
import { type GenerateId, GenerateJobs, type GenerateOrder, type GenerateStep } from './mining/generate.ts';
import { checkProposal } from './mining/proposal.ts';
import { buildTemplate, type Template, type TemplateOptions } from './mining/template.ts';
import { Overlay } from './overlay.ts';
import { BANS_KEY } from './peer/bans.ts';
import type { PeerVersion } from './peer/handshake.ts';
import { consequence, describeOffence } from './peer/misbehaviour.ts';
import { ReceiveBuffers } from './peer/receive-buffers.ts';
import { SendBuffers } from './peer/send-buffers.ts';
import type { BlockFiles, Core, Random, Store } from './ports.ts';
import { earliest, StoreDamage } from './ports.ts';
import { Requests } from './requests.ts';
import type { BlockFate } from './rpc/answers.ts';
import { TemplateCache } from './rpc/block-template.ts';
import type { PeerSummary, RpcContext } from './rpc/call.ts';
import { Announcements } from './sync/announce.ts';
import { BlockDownload } from './sync/block-download.ts';
import { ChainWatch } from './sync/chain-watch.ts';
import { HeaderSync } from './sync/header-sync.ts';
import { Serving } from './sync/serving.ts';
import { TransactionFlow } from './transaction-flow.ts';
import { receivedCost, sentCost } from './turn-cost.ts';
import { decodeMessage, encodeMessage } from './wire/codec.ts';
import { encodeFrame, FRAME_HEADER_SIZE, type Frame } from './wire/frame.ts';
import {
  INV_BLOCK,
  INV_TX,
  INV_WITNESS_BLOCK,
  INV_WITNESS_TX,
  INV_WTX,
  type Inventory,
  type Message,
  SERVICE_NETWORK,
  SERVICE_WEBSOCKET,
  SERVICE_WITNESS,
} from './wire/message.ts';

export const VERSION = '0.1.0';
const SERVICES = SERVICE_NETWORK | SERVICE_WITNESS | SERVICE_WEBSOCKET;
/** Initial sync ends within this many blocks of the best header. */
const CAUGHT_UP_BLOCKS = 24;
/** Chain steps per event: small blocks go many at a time, and one large block makes its own turn (see `#advanceChain`). */
const STEPS_PER_TURN = 16;
const TRANSACTIONS_PER_TURN = 200;
/** Transactions of one getdata that are looked up together. */
const TRANSACTIONS_PER_ANSWER = 100;

export interface NodeOptions {
  readonly params: ChainParams;
  readonly limits: Limits;
  readonly random: Random;
  readonly store: Store;
  readonly blockFiles: BlockFiles;
  /** Ranges of the store that were read before: `headersRange`, `addressesRange` and `poolRange` of chain/schema.ts. */
  readonly rows: {
    readonly headers: readonly Row[];
    readonly addresses: readonly Row[];
    readonly pool: readonly Row[];
  };
  /** Endpoints on which peers can dial us: announced to them, and never dialled. */
  readonly listen: readonly Endpoint[];
  /** What peers are told instead of these, as targets that lead to us; absent or empty: these, and what peers see us as. */
  readonly announce?: readonly DialTarget[];
  /** Nodes that are asked for addresses and left. */
  readonly seedNodes?: readonly DialTarget[];
  /** Peers that are kept dialled. */
  readonly connect: readonly DialTarget[];
  /** Exchange addresses with peers and dial what is learned. */
  readonly pex: boolean;
  /** Appear in the user agent, as BIP 14 has it. */
  readonly userAgentComments?: readonly string[];
  /** No links, as after `setnetworkactive false`, until that is called with true. */
  readonly offline?: boolean;
  /** The clock stands still there, as after `setmocktime`. */
  readonly mockTime?: UnixSeconds;
  /** Tell what happens to each transaction and block, in notices of the kind `item`. */
  readonly traceItems?: boolean;
  /** Mine all the time, to this script, with this pause before each block. */
  readonly mineTo?: { readonly script: Bytes; readonly intervalMs: Millis };
  readonly now: Now;
}

/** Makes a node on what its store holds. Throws StoreDamage where that cannot be. */
export function createNode(options: NodeOptions): Core {
  return new GrapevineNode(options);
}

/** Who is waiting for the answer of a worker. */
type Job =
  | { readonly kind: 'block'; readonly ticket: number }
  | { readonly kind: 'transaction'; readonly ticket: PoolTicket }
  | { readonly kind: 'proposal'; readonly end: (failed: number | null) => void }
  | { readonly kind: 'mine'; readonly id: GenerateId };

export class GrapevineNode implements Core {
  readonly params: ChainParams;
  readonly limits: Limits;
  readonly tree: HeaderTree;
  readonly chain: ChainState;
  readonly pool: Mempool;
  readonly overlay: Overlay;
  readonly transactions: TransactionFlow;
  /** Undefined unless items are traced. */
  readonly #items: ItemTrace | undefined;
  readonly #store: Store;
  readonly #userAgent: string;
  readonly #startedAt: Now;

  readonly #buffers: SendBuffers;
  readonly #received: ReceiveBuffers;
  readonly #headers: HeaderSync;
  readonly #chainWatch: ChainWatch;
  readonly #download: BlockDownload;
  readonly #announcements: Announcements;
  readonly #serving: Serving;
  readonly #relay: TxRelay;
  readonly #orphans: Orphans;
  readonly #saved: SavedTransactions;
  readonly #generate: GenerateJobs;
  /** The job of `setMining`. */
  #mining: GenerateId | undefined;
  readonly #requests: Requests;
  readonly #templates: TemplateCache;

  readonly #links = new Map<PeerId, Link>();
  /** Peers that have sent, or asked for, more than one turn could deal with. */
  readonly #backlog = new Set<PeerId>();
  /** Ticks so far, each of which begins a turn, and what each peer may cost in this one. */
  #turn = 0;
  #share: number;
  readonly #jobs = new Map<JobId, Job>();
  /** The same, from the ticket of the chain: to cancel. */
  readonly #blockJobs = new Map<number, JobId>();
  readonly #mineJobs = new Map<GenerateId, JobId>();
  #nextJob = 1;
  /** Who delivered a block whose fate is open: it is judged by it. */
  readonly #blockSources = new Map<BlockHash, PeerId>();
  /** Who wants to know the fate of a block. */
  readonly #blockWaiters = new Map<BlockHash, ((fate: BlockFate) => void)[]>();
  readonly #blockRejects = new Map<BlockHash, Reject>();
  readonly #generateWaiters = new Map<GenerateId, (step: Extract<GenerateStep, { type: 'done' | 'failed' }>) => void>();
  /** Who waits for the chain to follow a judgement: until it rests, or, while blocks keep coming, until it is done. */
  readonly #settledWaiters: { isDone(): boolean; end(): void }[] = [];

  /** What went over links that are closed. */
  #closedTraffic = { sent: 0, received: 0 };
  #initialSync = true;
  #initialSyncDeadline: Millis;
  /** When the store must be told of what the chain keeps back. */
  #unsavedDeadline: Millis | undefined;
  #mockTime: UnixSeconds | undefined;
  #verifier: Verifier | undefined;
  /** The chain may be able to go on. */
  #chainDirty = true;
  /** A user or a miner of ours has brought a block: there may be no peer to ask. */
  #minesItself = false;
  /** Something that the download or the header sync looks at has changed. */
  #syncDirty = false;
  #now: Now;
  #actions: Action[] = [];

  constructor(options: NodeOptions) {
    const { params, limits, random, store, blockFiles, listen, pex } = options;
    this.params = params;
    this.limits = limits;
    this.#store = store;
    this.#startedAt = options.now;
    this.#share = limits.readPerTurn;
    this.#now = options.now;
    this.#mockTime = options.mockTime;
    this.#initialSyncDeadline = options.now.mono + limits.headersTimeoutMs;
    const comments = options.userAgentComments ?? [];
    this.#userAgent = `/Grapevine:${VERSION}${comments.length === 0 ? '' : `(${comments.join('; ')})`}/`;

    this.#items =
      options.traceItems === true
        ? new ItemTrace({
            maxAnnouncedHeaders: limits.maxAnnouncedHeaders,
            nameOf: (peer) => this.overlay.nameOf(peer),
            notice: (notice) => this.notice(notice),
          })
        : undefined;
    this.tree = new HeaderTree(params, options.rows.headers);
    this.pool = new Mempool({ limits, feeDeltas: store.get(FEE_DELTAS_KEY) });
    this.chain = new ChainState({
      params,
      tree: this.tree,
      store,
      blockFiles,
      limits,
      verified: (wtxid) => this.pool.verified(wtxid),
    });

    this.#buffers = new SendBuffers(limits);
    this.#received = new ReceiveBuffers(limits);
    this.overlay = new Overlay({
      params,
      limits,
      random,
      services: SERVICES,
      userAgent: this.#userAgent,
      rows: options.rows.addresses,
      savedBans: store.get(BANS_KEY),
      savedAnchors: store.get(ANCHORS_KEY),
      seedNodes: options.seedNodes ?? [],
      listen,
      announce: options.announce ?? [],
      connect: options.connect,
      pex,
      active: options.offline !== true,
      now: options.now,
      host: {
        now: () => this.#now,
        tipHeight: () => this.chain.tip.height,
        links: () => this.#links,
        perform: (effects) => this.#perform(effects),
        act: (action) => this.#act(action),
        notice: (notice) => this.notice(notice),
        disconnect: (peer, reason) => this.disconnect(peer, reason),
        save: (batch) => this.#save(batch),
        isBusy: (peer) => this.#download.inFlight(peer).length > 0,
      },
    });
    this.#headers = new HeaderSync(this.tree, limits);
    this.#chainWatch = new ChainWatch(limits);
    this.#download = new BlockDownload(this.tree, limits);
    this.#announcements = new Announcements(this.tree, limits);
    this.#serving = new Serving(limits);
    this.#relay = new TxRelay({ limits, random: random.fork('relay') });
    this.#orphans = new Orphans({ limits, random: random.fork('orphans') });
    this.#saved = new SavedTransactions(options.rows.pool);
    this.transactions = new TransactionFlow({
      limits,
      pool: this.pool,
      chain: this.chain,
      relay: this.#relay,
      orphans: this.#orphans,
      saved: this.#saved,
      items: this.#items,
      host: {
        now: () => this.#now,
        initialSync: () => this.#initialSync,
        verify: (ticket, checks) =>
          this.#act({ type: 'verify', job: this.#job({ kind: 'transaction', ticket }), checks }),
        perform: (effects) => this.#perform(effects),
        save: (batch) => this.#save(batch),
        notice: (notice) => this.notice(notice),
        onDelivered: (peer) => this.#links.get(peer)?.onNewTransaction(this.#now),
      },
    });
    // They are judged by the chain as it was when the last run ended: a start may have to go on to the best tip first.
    if (this.#saved.isLoading) {
      this.#settledWaiters.push({ isDone: () => false, end: () => this.transactions.beginReload() });
    }
    this.#generate = new GenerateJobs({
      limits,
      firstExtra: random.fork('mining').u32(),
      template: (order, extra) =>
        this.#template({ source: order.transactions ?? this.pool, script: order.script, extra }),
    });
    this.#templates = new TemplateCache((script) => this.#template({ source: this.pool, script }));
    this.#requests = new Requests(this, options.mineTo?.script);
    if (options.mineTo !== undefined) {
      const { script, intervalMs } = options.mineTo;
      // Its first actions leave with those of the first event.
      this.setMining(script, intervalMs);
    }
  }

  handle(event: Event, clock: Now): readonly Action[] {
    this.#now = this.#mockTime === undefined ? clock : { mono: clock.mono, unix: this.#mockTime };
    try {
      this.#onEvent(event);
      this.#work();
      this.#saveChain();
    } catch (error) {
      if (!(error instanceof StoreDamage)) throw error;
      this.notice({ kind: 'damaged', message: error.message });
    }
    const actions = this.#actions;
    this.#actions = [];
    return actions;
  }

  nextDeadline(): Millis | undefined {
    if (this.#chainDirty || this.transactions.mayReload || this.#backlog.size > 0) return this.#now.mono;
    const machines = [
      this.overlay,
      this.#headers,
      this.#chainWatch,
      this.#download,
      this.#relay,
      this.#orphans,
      this.#generate,
      this.#requests,
    ];
    let next = earliest(this.#initialSync ? this.#initialSyncDeadline : undefined, this.#unsavedDeadline);
    for (const machine of machines) next = earliest(next, machine.nextDeadline());
    return next;
  }

  #onEvent(event: Event): void {
    switch (event.type) {
      case 'link-up':
        return this.#onLinkUp(event);
      case 'link-down':
        return this.#onLinkDown(event.peer, event.reason);
      case 'dial-failed':
        return this.overlay.onDialFailed(event.dial, event.reason);
      case 'addresses-found':
        return this.overlay.onFound(event.addresses, event.source);
      case 'bytes':
        return this.#onBytes(event.peer, event.bytes);
      case 'drained':
        return this.#onDrained(event.peer, event.bytes);
      case 'verified':
        return this.#onVerified(event.job, event.failed);
      case 'verifier':
        this.#verifier = event.verifier;
        return;
      case 'mined':
        return this.#onMined(event.job, event.nonce, event.hashes);
      case 'scanned':
        return this.#requests.onScanned(event.scan, event.rows, event.done);
      case 'request':
        return this.#requests.onRequest(event.request, event.method, event.params);
      case 'request-closed':
        return this.#requests.onClosed(event.request);
      case 'tick':
        return this.#onTick();
      case 'stop':
        return this.#onStop();
      default:
        return unreachable(event);
    }
  }

  /** What may follow from any event: the chain goes a step further, and free peers are given work. */
  #work(): void {
    if (this.#chainDirty) this.#advanceChain();
    if (this.transactions.mayReload) this.transactions.reloadSome();
    this.#requests.restartScans();
    this.#requests.pollHeld();
    if (this.#syncDirty) {
      this.#syncDirty = false;
      this.#checkInitialSync();
      this.#perform(this.#headers.schedule(this.#initialSync, this.#now));
      this.#watchChains();
      const { tip, forksAreFull, isBehind } = this.chain;
      const view = { tip, forksAreFull, isBehind, best: (peer: PeerId) => this.#headers.best(peer) };
      this.#perform(this.#download.schedule(view, this.#now));
    }
    this.overlay.dial();
    this.#perform(this.#relay.tick(this.transactions.relayState(), this.#now));
  }

  #onTick(): void {
    const now = this.#now;
    this.#beginTurn();
    this.overlay.tick();
    this.#perform(this.#headers.tick(now));
    this.#watchChains();
    this.#perform(this.#download.tick(now));
    this.#orphans.tick(now);
    this.#steps(this.#generate.tick(now));
    if (this.#initialSync && this.#initialSyncDeadline <= now.mono) this.#leaveInitialSync();
  }

  #onStop(): void {
    this.#unsavedDeadline = this.#now.mono;
    this.overlay.onStop();
    this.transactions.onStop();
    this.#requests.onStop();
    for (const peer of this.#links.keys()) this.disconnect(peer, 'the node stops');
  }

  #save(batch: Parameters<Store['write']>[0]): void {
    if (batch.length === 0) return;
    // What follows from a block is not told before the block.
    this.chain.save();
    this.#store.write(batch);
  }

  /** While it syncs and no user waits for a block, the store is told of many blocks at once. */
  #saveChain(): void {
    const waits = this.#blockWaiters.size > 0 || this.#settledWaiters.length > 0;
    this.chain.defer(this.#initialSync && !waits);
    const { mono } = this.#now;
    if (this.#unsavedDeadline !== undefined && this.#unsavedDeadline <= mono) this.chain.save();
    if (!this.chain.isUnsaved) this.#unsavedDeadline = undefined;
    else this.#unsavedDeadline ??= mono + this.limits.unsavedMs;
  }

  // Peers

  #onLinkUp(event: Extract<Event, { type: 'link-up' }>): void {
    const { peer, remote } = event;
    const dialled = event.dial === undefined ? undefined : this.overlay.dialer.onLinkUp(event.dial, peer, remote);
    const link = new Link(event, this.params.magic, this.limits.maxMessageBytes, dialled, this.#now);
    this.#links.set(peer, link);
    this.overlay.onLinkUp(link);
  }

  #onLinkDown(peer: PeerId, reason: string): void {
    const link = this.#links.get(peer);
    if (link === undefined) return;
    this.#links.delete(peer);
    this.#closedTraffic.sent += link.bytesSent;
    this.#closedTraffic.received += link.bytesReceived;
    this.#backlog.delete(peer);
    this.overlay.onLinkDown(link, reason);
    this.#buffers.remove(peer);
    this.#received.remove(peer);
    this.#headers.remove(peer);
    this.#chainWatch.remove(peer);
    this.#download.remove(peer);
    this.#announcements.remove(peer);
    this.#serving.remove(peer);
    this.#relay.remove(peer);
    this.#orphans.onPeerGone(peer);
    this.#syncDirty = true;
  }

  #onDrained(peer: PeerId, bytes: number): void {
    if (this.#buffers.onDrained(peer, bytes) === null) return;
    const link = this.#links.get(peer);
    if (link !== undefined) this.#takeTurn(link);
  }

  #onBytes(peer: PeerId, bytes: Bytes): void {
    const link = this.#links.get(peer);
    if (link === undefined || link.closing) return;
    link.lastReceive = this.#now.unix;
    link.bytesReceived += bytes.length;
    this.overlay.onTraffic(peer);
    link.push(bytes);
    // Whoever has a backlog waits for the next turn, like all others.
    if (!this.#backlog.has(peer)) this.#takeTurn(link);
  }

  /** Whoever has a backlog may go on. Many of them share what one may have, so that a turn does not grow with their number. */
  #beginTurn(): void {
    const { readPerTurn, readPerTurnOfAll, minReadPerTurn } = this.limits;
    const behind = [...this.#backlog];
    this.#turn++;
    this.#share = Math.min(readPerTurn, Math.max(minReadPerTurn, Math.floor(readPerTurnOfAll / behind.length)));
    for (const peer of behind) this.#takeTurn(this.#links.get(peer) as Link);
  }

  /** The peer has had what it may in this turn. */
  #isSpent(link: Link): boolean {
    return link.spent(this.#turn) >= this.#share;
  }

  /**
   * Reads from a peer and serves it, for one turn: so much and no more, so that a flood of one does not starve the others,
   * and nothing at all while it does not take what we send. What is left waits for the next tick or for `drained`. A turn
   * ends with a tick, not with what the network gives at once: that can be as much as a fast peer likes.
   */
  #takeTurn(link: Link): void {
    const { peer } = link;
    this.#backlog.delete(peer);
    while (!this.#isSpent(link) && !link.closing && !this.#buffers.isFull(peer)) {
      const frame = link.nextFrame();
      if (frame === undefined) break;
      const isMessage = frame.type === 'message';
      link.spend(this.#turn, isMessage ? receivedCost(frame.command, frame.payload.length) : 1);
      this.#onFrame(link, frame);
    }
    this.#serve(link);
    if (link.closing) return;
    const full = this.#buffers.isFull(peer);
    if (!full && (link.isBehind || this.#serving.pending(peer) > 0)) this.#backlog.add(peer);
    this.#gate(link);
    if (this.#received.set(peer, link.heldBytes + this.#serving.memory(peer))) this.#freeReceived();
  }

  /** Too much is held of streams: the inbound peer of which most is held has to go. */
  #freeReceived(): void {
    const inbound = (peer: PeerId) => this.#links.get(peer)?.direction === 'inbound';
    const largest = this.#received.largest(inbound);
    if (largest === undefined) return;
    this.#received.remove(largest);
    this.disconnect(
      largest,
      'holds too much memory with messages that do not end, or with answers that it does not take',
    );
  }

  /** Nothing is read from a peer that does not take what we send, nor from one that has sent more than we have read. */
  #gate(link: Link): void {
    const paused = this.#buffers.isFull(link.peer) || link.isBehind;
    if (paused === link.paused || link.closing) return;
    link.paused = paused;
    this.#act({ type: paused ? 'pause' : 'resume', peer: link.peer });
  }

  #onFrame(link: Link, frame: Frame): void {
    const { peer } = link;
    switch (frame.type) {
      case 'fatal':
        return this.#perform([{ type: 'misbehaved', peer, why: frame.offence }]);
      case 'skipped':
        return this.overlay.onJunk(peer);
      case 'message': {
        const decoded = decodeMessage(frame.command, frame.payload);
        const known = decoded.ok && decoded.value !== null;
        link.countReceived(known ? frame.command : '*other*', frame.payload.length + FRAME_HEADER_SIZE);
        if (decoded.ok && decoded.value !== null) return this.#onMessage(link, decoded.value, frame.payload);
        const offence = decoded.ok ? undefined : decoded.error.offence;
        if (offence !== undefined) return this.#perform([{ type: 'misbehaved', peer, why: offence }]);
        return this.overlay.onJunk(peer);
      }
      default:
        return unreachable(frame);
    }
  }

  #onMessage(link: Link, message: Message, payload: Bytes): void {
    const { peer } = link;
    const now = this.#now;
    this.#items?.onMessage('received', peer, message);
    const step = this.overlay.onMessage(peer, message);
    if (step.completed !== undefined && !link.closing) this.#onHandshake(link, step.completed);
    if (step.handled) return;
    switch (message.type) {
      case 'ping':
        return this.overlay.onPing(peer, message.nonce);
      case 'pong':
        return this.overlay.onPong(peer, message.nonce);
      case 'getaddr':
        return this.overlay.onGetaddr(peer);
      case 'addr':
      case 'addrv2':
        return this.overlay.onAddresses(peer, message.addresses);
      case 'sendheaders':
        return this.#announcements.onSendHeaders(peer);
      case 'getheaders':
        return this.#onGetheaders(peer, message.locator, message.stop);
      case 'headers':
        return this.#onHeaders(peer, message.headers);
      case 'inv':
        return this.#onInv(link, message.items);
      case 'getdata':
        return this.#onGetdata(link, message.items);
      case 'notfound': {
        const hashes = message.items.filter(isBlockItem).map((item) => item.hash as BlockHash);
        this.#download.onNotFound(peer, hashes, now);
        this.#relay.onNotFound(peer, message.items);
        this.#syncDirty = true;
        return;
      }
      case 'block':
        return this.#onPeerBlock(link, message.block, payload);
      case 'tx':
        if (link.kind === 'block-relay-only') {
          return this.#perform([{ type: 'misbehaved', peer, why: 'tx-without-relay' }]);
        }
        return this.transactions.onPeerTransaction(peer, message.tx);
      case 'feefilter':
        return this.#relay.onFeeFilter(peer, message.satPerKvb);
      case 'mempool':
        return this.disconnect(peer, 'asked for the mempool, which is not offered');
      case 'sendcmpct':
        // Compact blocks are not offered: a peer that prefers them falls back to headers.
        return;
      case 'version':
      case 'verack':
      case 'wtxidrelay':
      case 'sendaddrv2':
        // The handshake has dealt with them.
        return;
      default:
        return unreachable(message);
    }
  }

  #onHandshake(link: Link, version: PeerVersion): void {
    const { peer, direction } = link;
    if (!this.overlay.welcome(link, version)) return;
    this.#headers.add(peer);
    this.#download.add(peer);
    this.#announcements.add(peer);
    this.#serving.add(peer);
    this.#syncDirty = true;
    if (link.kind !== 'inbound' && link.kind !== 'manual')
      this.#chainWatch.add(peer, link.kind === 'outbound-full-relay');
    this.#perform([{ type: 'message', peer, message: { type: 'sendheaders' } }]);
    if (link.kind === 'block-relay-only') return;
    const { wtxidRelay, relay } = version;
    this.#relay.add(peer, { direction, wtxidRelay, relay }, this.pool.entries(), this.#now);
  }

  disconnect(peer: PeerId, reason: string): void {
    const link = this.#links.get(peer);
    if (link === undefined || link.closing) return;
    link.closing = true;
    this.#backlog.delete(peer);
    // What it owed is asked of others at once, and its deadlines are no longer ours.
    this.#headers.remove(peer);
    this.#chainWatch.remove(peer);
    this.#download.remove(peer);
    this.#syncDirty = true;
    this.#act({ type: 'disconnect', peer, reason });
  }

  /** Effects of machines become actions: messages become frames, offences cost what the one table says. */
  #perform(effects: readonly Effect[]): void {
    for (const effect of effects) {
      switch (effect.type) {
        case 'message': {
          const frame = encodeMessage(effect.message, this.params.magic);
          if (this.#items !== undefined && this.#isOpen(effect.peer)) {
            this.#items.onMessage('sent', effect.peer, effect.message);
          }
          this.#send(effect.peer, effect.message.type, frame);
          break;
        }
        case 'disconnect':
          this.disconnect(effect.peer, effect.reason);
          break;
        case 'misbehaved': {
          const { peer, why } = effect;
          const cost = consequence(why);
          if (cost === 'ignore') break;
          if (cost === 'discourage') this.overlay.discourage(peer);
          const reason = describeOffence(why);
          this.notice({ kind: 'misbehaved', peer, reason });
          this.disconnect(peer, reason);
          break;
        }
        default:
          unreachable(effect);
      }
    }
  }

  #isOpen(peer: PeerId): boolean {
    const link = this.#links.get(peer);
    return link !== undefined && !link.closing;
  }

  #send(peer: PeerId, type: string, bytes: Bytes): void {
    const link = this.#links.get(peer);
    if (link === undefined || link.closing) return;
    link.countSent(type, bytes.length, this.#now);
    link.spend(this.#turn, sentCost(bytes.length));
    this.#act({ type: 'send', peer, bytes });
    if (this.#buffers.onSend(peer, bytes.length) === 'pause') this.#gate(link);
  }

  // Headers and blocks

  #onGetheaders(peer: PeerId, locator: readonly BlockHash[], stop: BlockHash): void {
    const nodes = this.tree.headersAfter(locator, stop, this.limits.maxHeadersPerMessage, this.chain.tip);
    const last = nodes[nodes.length - 1] ?? this.chain.tip;
    this.#announcements.onServed(peer, last);
    this.#perform([
      { type: 'message', peer, message: { type: 'headers', headers: nodes.map(({ header }) => header) } },
    ]);
  }

  #onHeaders(peer: PeerId, headers: Parameters<HeaderSync['onHeaders']>[1]): void {
    const { effects, added } = this.#headers.onHeaders(peer, headers, this.chain.tip, this.#now);
    if (added.length > 0) this.chain.saveHeaders();
    this.#perform(effects);
    this.#syncDirty = true;
  }

  /** Peers that we chose and that do not follow the best chain are asked once more, then left. */
  #watchChains(): void {
    const { tip } = this.chain;
    for (const step of this.#chainWatch.check(tip, (peer) => this.#headers.best(peer), this.#now)) {
      if (step.type === 'ask') this.#perform(this.#headers.ask(step.peer, step.from, this.#now));
      else this.disconnect(step.peer, step.reason);
    }
  }

  #onInv(link: Link, items: readonly Inventory[]): void {
    const { peer } = link;
    if (link.kind === 'block-relay-only' && items.some(isTransactionItem)) {
      return this.#perform([{ type: 'misbehaved', peer, why: 'tx-without-relay' }]);
    }
    for (const item of items) {
      if (!isBlockItem(item)) continue;
      const node = this.tree.get(item.hash as BlockHash);
      if (node === undefined) this.#perform(this.#headers.onUnknownBlock(peer, this.#now));
      else this.#headers.onKnown(peer, node);
      this.#syncDirty = true;
    }
    this.#relay.onInv(peer, items, this.transactions.has, this.#now);
  }

  #onGetdata(link: Link, items: readonly Inventory[]): void {
    if (!this.#serving.onGetdata(link.peer, items)) {
      this.disconnect(link.peer, 'asks for more without taking what it gets');
    }
  }

  /** Sends the blocks and transactions that the peer asked for, as long as it takes them and for one turn. */
  #serve(link: Link): void {
    const { peer } = link;
    const missing: Inventory[] = [];
    let transactions: Inventory[] = [];
    const answer = () => {
      this.#perform(this.#relay.onGetdata(peer, transactions, this.transactions.lookup));
      transactions = [];
    };
    while (!this.#isSpent(link) && !link.closing && !this.#buffers.isFull(peer)) {
      if (this.#serving.pending(peer) === 0 || !link.serveOne(this.#turn, this.limits.servedPerTurn)) break;
      const item = this.#serving.next(peer) as Inventory;
      if (!isBlockItem(item)) transactions.push(item);
      else if (!this.#serveBlock(link, item)) missing.push(item);
      if (transactions.length === TRANSACTIONS_PER_ANSWER) answer();
    }
    if (transactions.length > 0) answer();
    if (missing.length > 0) this.#perform([{ type: 'message', peer, message: { type: 'notfound', items: missing } }]);
  }

  /** False if we do not have the block, or hold it invalid. */
  #serveBlock(link: Link, item: Inventory): boolean {
    const { peer } = link;
    const node = this.tree.get(item.hash as BlockHash);
    if (node === undefined || node.place === undefined || node.invalid !== false) return false;
    // It will have it: there is no need to tell it of this block, and getpeerinfo shows how far it is.
    this.#headers.onKnown(peer, node);
    if (item.kind === INV_WITNESS_BLOCK) {
      this.#items?.onBlockMessage('sent', peer, node.hash);
      this.#send(peer, 'block', encodeFrame(this.params.magic, 'block', this.chain.readBlockBytes(node)));
    } else {
      const { header, transactions } = this.chain.readBlock(node);
      const block = { header, transactions: transactions.map(withoutWitness) };
      this.#perform([{ type: 'message', peer, message: { type: 'block', block } }]);
    }
    return true;
  }

  #onPeerBlock(link: Link, block: Block, bytes: Bytes): void {
    const { peer } = link;
    const { hash, prevHash } = block.header;
    const requested = this.#download.onBlock(peer, hash, this.#now);
    this.#syncDirty = true;
    const parent = this.tree.get(prevHash);
    if (parent === undefined) {
      return this.#perform([{ type: 'misbehaved', peer, why: 'unrequested-orphan-block' }]);
    }
    if (!requested && !this.#wanted(block, parent)) return;
    const { reject, node } = this.#acceptBlock(block, bytes.subarray(0, blockSize(block)));
    if (node !== undefined) this.#headers.onKnown(peer, node);
    if (reject === null || reject.code === 'duplicate') this.#download.onStored(hash, this.#now);
    if (reject !== null) {
      if (reject.code === 'duplicate') return;
      this.notice({ kind: 'block-rejected', hash, height: parent.height + 1, reason: reject.reason, peer });
      this.#items?.onBlockRejected(hash, parent.height + 1, peer, reject.reason);
      return this.#perform([{ type: 'misbehaved', peer, why: reject }]);
    }
    link.onNewBlock(this.#now);
    this.#blockSources.set(hash, peer);
    // Bodies that wait for an ancestor are few; the oldest entry is the one that matters least.
    if (this.#blockSources.size > this.limits.blockWindow) {
      this.#blockSources.delete(this.#blockSources.keys().next().value as BlockHash);
    }
  }

  /** RULES A8: an unrequested block is taken only if it may become the tip soon. */
  #wanted(block: Block, parent: HeaderNode): boolean {
    const known = this.tree.get(block.header.hash);
    if (known?.place !== undefined) return false;
    const { tip } = this.chain;
    const workOfTip = tip.chainwork;
    const work = known?.chainwork ?? parent.chainwork;
    return work >= workOfTip && parent.height + 1 <= tip.height + this.limits.maxUnrequestedAhead;
  }

  /** `bytes` is its serialization, where we have it. */
  #acceptBlock(block: Block, bytes?: Bytes): { reject: Reject | null; node: HeaderNode | undefined } {
    const { result, node } = this.chain.acceptBlock(block, this.#now.unix, bytes);
    this.#chainDirty = true;
    return { reject: result, node };
  }

  /** A block from a user or a miner of ours. `end` is told once its fate is known. */
  submitBlock(block: Block, end: (fate: BlockFate) => void): void {
    const { hash } = block.header;
    // Whoever is told that we have it must be able to rely on it.
    this.chain.save();
    const { reject } = this.#acceptBlock(block);
    this.#minesItself ||= reject === null;
    if (reject?.code === 'duplicate') return end({ type: 'duplicate' });
    if (reject !== null) {
      const height = (this.tree.get(block.header.prevHash)?.height ?? -1) + 1;
      this.#items?.onBlockRejected(hash, height, undefined, reject.reason);
      return end({ type: 'rejected', reject });
    }
    const waiters = this.#blockWaiters.get(hash);
    if (waiters === undefined) this.#blockWaiters.set(hash, [end]);
    else waiters.push(end);
  }

  /** Some steps of the chain, and what follows from them. A single call stays short: the rest is asked for by a deadline now. */
  #advanceChain(): void {
    let transactions = 0;
    for (let step = 0; step < STEPS_PER_TURN && transactions < TRANSACTIONS_PER_TURN; step++) {
      const progress = this.chain.advance();
      this.#applyProgress(progress);
      transactions += costOf(progress);
      if (!progress.more) {
        this.#chainDirty = false;
        break;
      }
    }
    this.#tellBlockFates();
  }

  #applyProgress(progress: ChainProgress): void {
    for (const { ticket, checks } of progress.verify) {
      const job = this.#job({ kind: 'block', ticket });
      this.#blockJobs.set(ticket, job);
      this.#act({ type: 'verify', job, checks });
    }
    for (const ticket of progress.cancel) {
      const job = this.#blockJobs.get(ticket);
      if (job === undefined) continue;
      this.#blockJobs.delete(ticket);
      this.#jobs.delete(job);
      this.#act({ type: 'cancel', job });
    }
    for (const { node, reject } of progress.failures) {
      const peer = this.#blockSources.get(node.hash);
      this.#blockSources.delete(node.hash);
      this.#blockRejects.set(node.hash, reject);
      const source = peer === undefined ? {} : { peer };
      this.notice({ kind: 'block-rejected', hash: node.hash, height: node.height, reason: reject.reason, ...source });
      this.#items?.onBlockRejected(node.hash, node.height, peer, reject.reason);
      if (peer !== undefined) this.#perform([{ type: 'misbehaved', peer, why: reject }]);
    }
    for (const update of progress.updates) this.#onChainUpdate(update);
    if (progress.updates.length > 0 || progress.failures.length > 0) this.#syncDirty = true;
    if (progress.more) this.#chainDirty = true;
  }

  /** The chain has another tip. The order matters: the pool first, because templates and relay read it. */
  #onChainUpdate(update: ChainUpdate): void {
    const { tip, connected, disconnected } = update;
    const connectedBlocks = connected.map(({ block }) => block);
    const { returned, removed } = this.pool.onChainUpdate(update, this.chain, this.#now);
    if (this.#items !== undefined) {
      for (const { block, node } of disconnected) this.#items.onDisconnected(block, node.height);
      for (const { block, node } of connected) this.#items.onConnected(block, node.height, !this.#initialSync);
      for (const { tx } of returned) this.#items.onReturned(tx);
      for (const { tx } of removed) this.#items.onRemoved(tx, 'no longer valid after a change of the chain');
    }
    for (const { transactions } of connectedBlocks) this.#save(this.#saved.forget(transactions));
    this.#save(this.#saved.forget(removed.map(({ tx }) => tx)));
    // A user may have been told that one of them is safe, and now no block holds it.
    for (const entry of returned) this.#save(this.#saved.save(entry, true));
    // While it syncs it asks nobody for transactions, so there is no need to know which of them are confirmed.
    this.#relay.onTip(
      disconnected.map(({ block }) => block),
      this.#initialSync ? [] : connectedBlocks,
    );
    for (const entry of returned) {
      this.#relay.onAccepted(entry, undefined, this.#now);
      this.notice({ kind: 'transaction', txid: entry.tx.txid, source: 'reorg' });
    }
    for (const { node } of connected) this.#blockSources.delete(node.hash);
    for (const block of connectedBlocks) this.transactions.retryOrphans(this.#orphans.onBlock(block));
    for (let i = 0; i < connected.length; i++) this.#download.onConnected();
    // Only what leads to the best header counts as arriving in time: others must not hold the latch.
    if (this.tree.contains(this.tree.best, tip)) {
      this.#initialSyncDeadline = this.#now.mono + this.limits.headersTimeoutMs;
    }
    this.#checkInitialSync();
    if (!this.#initialSync) {
      const nodes = connected.map(({ node }) => node);
      this.#perform(this.#announcements.onTip(nodes, (peer) => this.#headers.best(peer)));
    }
    let transactions = 0;
    for (const block of connectedBlocks) transactions += block.transactions.length;
    const sync = this.#initialSync ? { syncingTo: this.tree.best.height } : {};
    const { hash, height } = tip;
    this.notice({ kind: 'tip', hash, height, disconnected: disconnected.length, transactions, ...sync });
    this.#steps(this.#generate.onTip(hash, this.#now));
    this.overlay.onTip();
    this.#requests.onTip();
  }

  #tellBlockFates(): void {
    for (const [hash, waiters] of this.#blockWaiters) {
      if (this.chain.isPending(hash)) continue;
      this.#blockWaiters.delete(hash);
      this.chain.save();
      const fate = this.#fateOf(hash);
      for (const end of waiters) end(fate);
    }
    this.#blockRejects.clear();
    const idle = !this.#chainDirty && this.chain.stats.windowSteps === 0;
    for (const waiter of this.#settledWaiters.splice(0)) {
      if (idle || waiter.isDone()) {
        this.chain.save();
        waiter.end();
      } else this.#settledWaiters.push(waiter);
    }
  }

  #fateOf(hash: BlockHash): BlockFate {
    const reject = this.#blockRejects.get(hash);
    if (reject !== undefined) return { type: 'rejected', reject };
    const node = this.tree.get(hash);
    return node !== undefined && this.chain.contains(node) ? { type: 'connected' } : { type: 'inconclusive' };
  }

  /** The user changed what counts as valid; `settled` is told when the chain has followed. */
  judge(hash: BlockHash, how: 'invalidate' | 'reconsider' | 'precious', settled: () => void): void {
    const node = this.tree.get(hash);
    if (node === undefined) throw new Error(`${how} of an unknown block`);
    if (how === 'invalidate') this.chain.invalidate(node);
    else if (how === 'reconsider') this.chain.reconsider(node);
    else this.chain.precious(node);
    this.#chainDirty = true;
    const isDone = () => (how === 'invalidate' ? !this.chain.contains(node) : !this.chain.isPending(hash));
    this.#settledWaiters.push({ isDone: () => this.#initialSync && isDone(), end: settled });
  }

  /** DESIGN.md section 4: a latch, left once and never entered again, so that an old tip alone refuses nobody. */
  #checkInitialSync(): void {
    if (!this.#initialSync) return;
    // After a restart our own tip is the best header that we know, until a peer has told what it has.
    if (!this.#headers.anyCaughtUp && !this.#minesItself) return;
    if (this.chain.tip.height + CAUGHT_UP_BLOCKS >= this.tree.best.height) this.#leaveInitialSync();
  }

  #leaveInitialSync(): void {
    if (!this.#initialSync) return;
    this.#initialSync = false;
    this.#syncDirty = true;
    this.notice({ kind: 'initial-sync-done', height: this.chain.tip.height });
  }

  // Mining

  /** A template on the present tip. */
  #template(options: Pick<TemplateOptions, 'source' | 'script' | 'extra'>): Template {
    const { tip } = this.chain;
    return buildTemplate({
      ...options,
      tip: {
        hash: tip.hash,
        height: tip.height,
        time: tip.header.time,
        medianTimePast: tip.medianTimePast,
        anchorTime: this.tree.anchorTime(tip),
      },
      params: this.params,
      now: this.#now.unix,
    });
  }

  /** Whether a block without proof of work would be valid on the tip; `end` is told why not, or null, perhaps at once. */
  checkProposal(block: Block, end: (reject: Reject | null) => void): void {
    const { params, chain } = this;
    const verified = (wtxid: Wtxid) => this.pool.verified(wtxid);
    const anchorTime = this.tree.anchorTime(chain.tip);
    const proposal = checkProposal(block, { params, chain, anchorTime, now: this.#now.unix, verified });
    if (!proposal.ok) return end(proposal.error);
    const { checks, rejectOf } = proposal.value;
    if (checks.length === 0) return end(null);
    const told = (failed: number | null) => end(failed === null ? null : rejectOf(failed));
    this.#act({ type: 'verify', job: this.#job({ kind: 'proposal', end: told }), checks });
  }

  /** Starts a mining job; `end` is told once. False where too many wait already. */
  startGenerate(
    order: GenerateOrder,
    end: (step: Extract<GenerateStep, { type: 'done' | 'failed' }>) => void,
  ): GenerateId | undefined {
    const started = this.#generate.start(order, this.#now);
    if (started === undefined) return undefined;
    this.#generateWaiters.set(started.id, end);
    this.#steps(started.steps);
    return started.id;
  }

  /** Mines all the time to that script, with a pause before each block, in place of what was set before; or no more. */
  setMining(script: Bytes | undefined, intervalMs: Millis = 0): void {
    if (this.#mining !== undefined) this.cancelGenerate(this.#mining);
    const count = Number.POSITIVE_INFINITY;
    this.#mining =
      script === undefined
        ? undefined
        : this.startGenerate({ count, script, maxTries: count, intervalMs }, () => undefined);
  }

  cancelGenerate(id: GenerateId): void {
    this.#generateWaiters.delete(id);
    this.#steps(this.#generate.cancel(id, this.#now));
  }

  #steps(steps: readonly GenerateStep[]): void {
    for (const step of steps) {
      switch (step.type) {
        case 'mine': {
          const job = this.#job({ kind: 'mine', id: step.id });
          this.#mineJobs.set(step.id, job);
          const { header, bits, tries } = step;
          this.#act({ type: 'mine', job, header, bits, tries });
          break;
        }
        case 'cancel': {
          const job = this.#mineJobs.get(step.id);
          this.#mineJobs.delete(step.id);
          if (job === undefined) break;
          this.#jobs.delete(job);
          this.#act({ type: 'cancel', job });
          break;
        }
        case 'submit': {
          const { hash } = step.block.header;
          this.submitBlock(step.block, (fate) => {
            const outcome =
              fate.type === 'rejected' ? fate.reject : fate.type === 'connected' ? 'active' : ('stale' as const);
            this.#steps(this.#generate.onBlock(hash, outcome, this.#now));
          });
          break;
        }
        case 'done':
        case 'failed': {
          const end = this.#generateWaiters.get(step.id);
          this.#generateWaiters.delete(step.id);
          end?.(step);
          break;
        }
        default:
          unreachable(step);
      }
    }
  }

  #onMined(job: JobId, nonce: number | null, hashes: number): void {
    const owner = this.#jobs.get(job);
    if (owner?.kind !== 'mine') return;
    this.#jobs.delete(job);
    this.#mineJobs.delete(owner.id);
    this.#steps(this.#generate.onMined(owner.id, nonce, hashes, this.#now));
  }

  // Jobs of workers

  #job(owner: Job): JobId {
    const job = this.#nextJob++ as JobId;
    this.#jobs.set(job, owner);
    return job;
  }

  #onVerified(job: JobId, failed: number | null): void {
    const owner = this.#jobs.get(job);
    if (owner === undefined) return;
    this.#jobs.delete(job);
    if (owner.kind === 'transaction') return this.transactions.onVerified(owner.ticket, failed);
    if (owner.kind === 'proposal') return owner.end(failed);
    if (owner.kind !== 'block') return;
    this.#blockJobs.delete(owner.ticket);
    this.#chainDirty = true;
    this.#applyProgress(this.chain.onVerified(owner.ticket, failed));
    this.#tellBlockFates();
  }

  // For requests

  get now(): Now {
    return this.#now;
  }

  /** The coin as the next transaction may spend it: of the chain or the pool, and spent by neither. */
  coin(txid: Txid, vout: number): Coin | undefined {
    const key = outPointKey(txid, vout);
    return this.pool.spender(key) === undefined ? this.pool.coin(key, this.chain) : undefined;
  }

  /** A header of a user, whose parent is known. Null where nothing is wrong with it. */
  submitHeader(header: BlockHeader): Reject | null {
    const added = this.tree.add(header, this.#now.unix);
    if (!added.ok) return added.error;
    this.chain.saveHeaders();
    this.#syncDirty = true;
    return null;
  }

  /** False: all links are closed, and none are made or taken until it is true again. */
  setNetworkActive(active: boolean): void {
    this.overlay.active = active;
    if (active) return;
    for (const peer of this.#links.keys()) this.disconnect(peer, 'networking is off');
  }

  /** 0 gives the clock back. */
  setMockTime(time: UnixSeconds): void {
    this.#mockTime = time === 0 ? undefined : time;
    if (time !== 0) this.#now = { mono: this.#now.mono, unix: time };
  }

  act(action: Extract<Action, { type: 'reply' | 'scan' | 'cancel-scan' }>): void {
    // The rows of a range come from the store alone.
    if (action.type === 'scan') this.chain.save();
    this.#act(action);
  }

  notice(notice: Notice): void {
    this.#act({ type: 'notice', notice });
  }

  #act(action: Action): void {
    this.#actions.push(action);
  }

  /** `own` is what requests.ts knows. */
  context(own: Pick<RpcContext, 'manualNodes' | 'activeCalls' | 'miningScript'>): RpcContext {
    return {
      params: this.params,
      limits: this.limits,
      now: this.#now,
      startedAt: this.#startedAt,
      tree: this.tree,
      chain: this.chain,
      pool: this.pool,
      initialSync: this.#initialSync,
      services: SERVICES,
      userAgent: this.#userAgent,
      verifier: this.#verifier,
      localAddresses: this.overlay.localAddresses(),
      sizeOnDisk: this.tree.bodyBytes,
      peers: () => [...this.#links.values()].map((link) => this.#summary(link)),
      addresses: () => this.overlay.addresses(),
      addressCounts: () => this.overlay.addressCounts(),
      bans: () => this.overlay.bans(),
      ...own,
      networkActive: this.overlay.active,
      traffic: this.#traffic(),
      templates: this.#templates,
    };
  }

  #traffic(): RpcContext['traffic'] {
    let { sent, received } = this.#closedTraffic;
    for (const { bytesSent, bytesReceived } of this.#links.values()) {
      sent += bytesSent;
      received += bytesReceived;
    }
    return { sent, received };
  }

  #summary(link: Link): PeerSummary {
    const { peer } = link;
    const rtt = this.overlay.rtt(peer);
    const counts = this.overlay.gossipCounts(peer);
    const best = this.#headers.best(peer);
    const memory = this.overlay.memory(peer) + this.#relay.memory(peer) + this.#serving.memory(peer);
    return {
      id: peer,
      direction: link.direction,
      transport: link.transport,
      remote: link.remote,
      local: link.local,
      version: this.overlay.version(peer),
      dialled: link.dialled?.target,
      kind: link.kind,
      learned: link.dialled?.origin ?? 'inbound',
      netgroup: link.netgroup,
      memoryBytes: this.#buffers.size(peer) + link.heldBytes + memory,
      exchangesAddresses: this.overlay.exchangesAddresses(peer),
      connectedAt: link.connectedAt,
      lastSend: link.lastSend,
      lastReceive: link.lastReceive,
      lastTransaction: link.lastTransaction,
      lastBlock: link.lastBlock,
      bytesSent: link.bytesSent,
      bytesReceived: link.bytesReceived,
      bytesSentByType: link.sentByType,
      bytesReceivedByType: link.receivedByType,
      pingLastMs: rtt.lastMs,
      pingMinMs: rtt.minMs,
      pingWaitingMs: rtt.waitingMs,
      syncedHeaders: best?.height ?? -1,
      syncedBlocks: best === undefined ? -1 : this.tree.commonAncestor(best, this.chain.tip).height,
      inFlight: this.#download.inFlight(peer).map((node) => node.height),
      addressesProcessed: counts.processed,
      addressesRateLimited: counts.rateLimited,
      feeFilter: this.#relay.feeFilter(peer),
    };
  }
}

function isBlockItem(item: Inventory): boolean {
  return item.kind === INV_BLOCK || item.kind === INV_WITNESS_BLOCK;
}

function isTransactionItem({ kind }: Inventory): boolean {
  return kind === INV_TX || kind === INV_WTX || kind === INV_WITNESS_TX;
}

/** What a step of the chain cost, in transactions. */
function costOf(progress: ChainProgress): number {
  let cost = 0;
  for (const { checks } of progress.verify) cost += checks.length / CHECK_SIZE;
  for (const { connected, disconnected } of progress.updates) {
    for (const { block } of [...connected, ...disconnected]) cost += block.transactions.length;
  }
  return cost;
}
