/**
 * Calls of users that cannot be answered at once. rpc/ turns a call into an answer or a command; here the command is
 * carried out through the node, and the answer is made when it is done. Owns what each open request is waiting for, so
 * that a caller who has gone stops costing anything.
 */
import { type Bytes, unreachable } from '../consensus/brand.ts';
import type { Transaction } from '../consensus/transaction.ts';
import type { Millis, RequestId, Row, RpcParams, ScanId } from './boundary.ts';
import type { KeyRange } from './chain/schema.ts';
import type { GenerateId, GenerateOrder } from './mining/generate.ts';
import type { GrapevineNode } from './node.ts';
import { earliest } from './ports.ts';
import { addAddressAnswer } from './rpc/address-book.ts';
import { error, nothing, RpcCode, type RpcCommand, type RpcReply, result } from './rpc/answer.ts';
import {
  CoinScan,
  CoinStats,
  generateAnswer,
  generateBlockAnswer,
  type RowReader,
  ScriptBalances,
  ScriptCoins,
  ScriptHistory,
  sendTransactionAnswer,
  submitBlockAnswer,
  type TransactionFate,
  testAcceptAnswer,
} from './rpc/answers.ts';
import { banAnswer, unbanAnswer } from './rpc/bans.ts';
import { proposalAnswer, submitHeaderAnswer } from './rpc/block-template.ts';
import { callRpc, type RpcContext, toOutcome } from './rpc/call.ts';
import { saveMempoolAnswer } from './rpc/node-info.ts';
import { prioritiseAnswer, submitPackageAnswer, testPackageAnswer } from './rpc/packages.ts';
import type { HeldCall } from './rpc/waiting.ts';
import type { TransactionEnd } from './transaction-flow.ts';

const ROWS_PER_PAGE = 1000;
/** A scan of scripts begins again when the chain moves meanwhile; one that never gets through is given up. */
const MAX_SCAN_ATTEMPTS = 100;

/** Ranges that are read at once for a call that wants many: each has to wait for another thread. */
const MAX_RANGES_AT_ONCE = 16;

/** Reads ranges of the store into something that takes rows. */
interface ScanJob {
  readonly request: RequestId;
  /** Makes the reader; called again when the scan has to begin again. */
  readonly begin: () => RowReader;
  /** The rows are only true together with the pool and tip of the moment: begin again if the tip moves. */
  readonly restartOnTip: boolean;
  readonly running: Set<ScanId>;
  attempts: number;
}

interface RunningScan {
  readonly job: ScanJob;
  readonly reader: RowReader;
  readonly range: KeyRange;
}

/** What ends an open request early. */
type Release = () => void;

export class Requests {
  readonly #node: GrapevineNode;
  /** Open requests; what they hold is released when the caller goes. */
  readonly #open = new Map<RequestId, Release>();
  /** The same: what was called, and when. */
  readonly #calls = new Map<RequestId, { readonly method: string; readonly since: Millis }>();
  /** Calls that wait for something, and when they want to be asked again without a new tip. */
  readonly #held = new Map<RequestId, { readonly call: HeldCall; at: Millis | undefined }>();
  #tipMoved = false;
  readonly #scans = new Map<ScanId, RunningScan>();
  readonly #stale = new Set<ScanId>();
  /** Nodes of `addnode add`, by the text that named them. */
  readonly #manual = new Set<string>();
  /** Where miners that name no address mine to. */
  #miningScript: Bytes | undefined;
  #nextScan = 1;

  constructor(node: GrapevineNode, miningScript: Bytes | undefined) {
    this.#node = node;
    this.#miningScript = miningScript;
  }

  onRequest(request: RequestId, method: string, params: RpcParams): void {
    if (this.#open.size >= this.#node.limits.maxRequests) {
      this.#node.act({
        type: 'reply',
        request,
        outcome: { ok: false, code: RpcCode.misc, message: 'Too many calls are open' },
      });
      return;
    }
    this.#open.set(request, () => undefined);
    this.#calls.set(request, { method, since: this.#node.now.mono });
    const answer = callRpc(this.#context(), method, params);
    if (answer.type === 'command') this.#execute(request, answer.command);
    else this.#reply(request, answer);
  }

  /** The caller has gone. */
  onClosed(request: RequestId): void {
    const release = this.#open.get(request);
    this.#open.delete(request);
    this.#calls.delete(request);
    release?.();
  }

  onStop(): void {
    for (const [request, { call }] of this.#held) this.#reply(request, call.stopped(this.#context()));
    for (const request of [...this.#open.keys()]) {
      this.#open.get(request)?.();
      this.#reply(request, error(RpcCode.misc, 'The node stops'));
    }
  }

  /** The tip moved: rows that were read belong to another state. */
  onTip(): void {
    for (const [scan, { job }] of this.#scans) if (job.restartOnTip) this.#stale.add(scan);
    this.#tipMoved = true;
  }

  /** Asks the held calls again whose time has come: all after a new tip. Once after all that an event did. */
  pollHeld(): void {
    const tipMoved = this.#tipMoved;
    this.#tipMoved = false;
    const { mono } = this.#node.now;
    for (const [request, held] of this.#held) {
      if (!tipMoved && (held.at === undefined || held.at > mono)) continue;
      const step = held.call.poll(this.#context());
      if (step.type === 'later') held.at = step.at;
      else this.#reply(request, step);
    }
  }

  nextDeadline(): Millis | undefined {
    let next: Millis | undefined;
    for (const { at } of this.#held.values()) next = earliest(next, at);
    return next;
  }

  /** Scans whose state is gone begin again: once after all that an event did to the chain. */
  restartScans(): void {
    for (const scan of this.#stale) {
      const job = this.#scans.get(scan)?.job;
      if (job === undefined) continue;
      this.#cancelScans(job);
      if (job.attempts >= MAX_SCAN_ATTEMPTS) {
        this.#reply(job.request, error(RpcCode.misc, 'The chain moves faster than it can be read; try again later'));
      } else this.#scan(job);
    }
    this.#stale.clear();
  }

  onScanned(scan: ScanId, rows: readonly Row[], done: boolean): void {
    const running = this.#scans.get(scan);
    if (running === undefined) return;
    const { job, reader, range } = running;
    reader.onRows(rows, range);
    if (!done) {
      this.#node.act({ type: 'scan', scan, ...range, limit: ROWS_PER_PAGE });
      return;
    }
    this.#scans.delete(scan);
    job.running.delete(scan);
    this.#nextRanges(job, reader);
  }

  #context(): RpcContext {
    return this.#node.context({
      manualNodes: () => [...this.#manual],
      activeCalls: () => [...this.#calls.values()],
      miningScript: this.#miningScript,
    });
  }

  #hold(request: RequestId, call: HeldCall): void {
    const step = call.poll(this.#context());
    if (step.type !== 'later') return this.#reply(request, step);
    if (this.#held.size >= this.#node.limits.maxHeldCalls) {
      return this.#reply(request, error(RpcCode.misc, 'Too many calls wait for the node'));
    }
    this.#held.set(request, { call, at: step.at });
    this.#open.set(request, () => this.#held.delete(request));
  }

  #reply(request: RequestId, reply: RpcReply): void {
    this.#held.delete(request);
    this.#calls.delete(request);
    // Nobody is there to read it any more.
    if (!this.#open.delete(request)) return;
    this.#node.act({ type: 'reply', request, outcome: toOutcome(reply) });
  }

  #execute(request: RequestId, command: RpcCommand): void {
    const node = this.#node;
    const reply = (answer: RpcReply) => this.#reply(request, answer);
    switch (command.type) {
      case 'send-transaction': {
        const { tx, maxFee } = command;
        return this.#send(tx, maxFee, (fate) => reply(sendTransactionAnswer(tx, fate)));
      }
      case 'test-accept':
        return this.#testAccept(command.txs, command.maxFeeRate, reply);
      case 'submit-package': {
        const { txs, maxFeeRate } = command;
        return node.transactions.submitPackage(txs, { maxFeeRate }, (outcome) =>
          reply(submitPackageAnswer(txs, outcome)),
        );
      }
      case 'prioritise':
        return reply(prioritiseAnswer(node.pool.prioritise(command.txid, command.satoshis)));
      case 'submit-block':
        return node.submitBlock(command.block, (fate) => reply(submitBlockAnswer(fate)));
      case 'generate': {
        const { count, script, maxTries } = command;
        return this.#generate(request, { count, script, maxTries }, (step) =>
          reply(
            step.type === 'done'
              ? generateAnswer(step.hashes)
              : generateBlockAnswer({ type: 'rejected', reject: step.reject }),
          ),
        );
      }
      case 'generate-block': {
        const { script, txs, maxTries, submit } = command;
        return this.#generate(request, { count: 1, script, maxTries, transactions: txs, submit }, (step) => {
          if (step.type === 'failed') return reply(generateBlockAnswer({ type: 'rejected', reject: step.reject }));
          const block = step.last;
          reply(
            generateBlockAnswer(block === undefined ? { type: 'failed' } : { type: 'mined', block, submitted: submit }),
          );
        });
      }
      case 'invalidate':
      case 'reconsider':
      case 'precious':
        return node.judge(command.hash, command.type, () => reply(nothing));
      case 'add-node': {
        const { target, text, how } = command;
        if (how === 'onetry') node.overlay.dialer.dialOnce(target);
        else if (how === 'add') {
          if (this.#manual.size >= node.limits.maxAddedNodes) {
            return reply(error(RpcCode.misc, 'Error: Too many nodes were added; remove one first'));
          }
          node.overlay.dialer.addManual(target, node.now);
          this.#manual.add(text);
        } else {
          node.overlay.dialer.removeManual(target);
          this.#manual.delete(text);
        }
        return reply(nothing);
      }
      case 'disconnect-node':
        node.disconnect(command.peer, 'disconnectnode');
        return reply(nothing);
      case 'set-mock-time':
        node.setMockTime(command.time);
        return reply(nothing);
      case 'coin-stats':
        // The tip record is part of the range: the answer is that of the block it names, wherever the tip is by then.
        return this.#startScan(request, false, () => new CoinStats(command.hashType));
      case 'coin-scan':
        return this.#startScan(request, true, () => new CoinScan(command.scripts));
      case 'script-balances': {
        const { hashes, single } = command;
        return this.#startScan(request, true, () => new ScriptBalances(hashes, single, node.chain.tip.height));
      }
      case 'script-coins':
        return this.#startScan(request, true, () => new ScriptCoins(command.hashes, command.single));
      case 'script-history':
        return this.#startScan(request, true, () => new ScriptHistory(command.hashes, command.single));
      case 'set-deny':
        node.overlay.setDeny(command.names, command.endpoints);
        return reply(nothing);
      case 'set-links':
        node.overlay.setLinks(command.rules);
        return reply(nothing);
      case 'ban':
        return reply(banAnswer(node.overlay.ban(command.subnet, command.until)));
      case 'unban':
        return reply(unbanAnswer(node.overlay.unban(command.subnet)));
      case 'clear-bans':
        node.overlay.clearBans();
        return reply(nothing);
      case 'add-address':
        return reply(addAddressAnswer(node.overlay.addAddress(command.endpoint, command.tried)));
      case 'check-proposal':
        return node.checkProposal(command.block, (reject) => reply(proposalAnswer(reject)));
      case 'submit-header':
        return reply(submitHeaderAnswer(node.submitHeader(command.header)));
      case 'hold':
        return this.#hold(request, command.call);
      case 'ping':
        node.overlay.pingAll();
        return reply(nothing);
      case 'set-network-active':
        node.setNetworkActive(command.active);
        return reply(result(command.active));
      case 'set-mining-script':
        this.#miningScript = command.script;
        return reply(nothing);
      case 'set-mining':
        node.setMining(command.script);
        return reply(nothing);
      case 'save-mempool':
        return reply(saveMempoolAnswer(node.transactions.savePool()));
      case 'stop':
        reply({ type: 'result', value: 'Grapevine stopping' });
        return node.notice({ kind: 'stop-requested' });
      default:
        return unreachable(command);
    }
  }

  /** As in Core: what the pool refuses is said first, then that the fee is above the caller's limit. */
  #send(tx: Transaction, maxFee: bigint, end: (fate: TransactionFate) => void): void {
    const node = this.#node;
    const known = node.pool.get(tx.txid);
    if (known !== undefined) {
      // Sending it twice is no error; but a peer may have been first, and then it is not safe yet.
      node.transactions.saveForUser(known);
      return end({ type: 'accepted', fee: known.fee, modifiedFee: known.modifiedFee, vsize: known.vsize });
    }
    const submit = () => node.transactions.submit(tx, {}, (result) => end(fateOf(result)));
    if (maxFee === 0n || this.#fee(tx) <= maxFee) return submit();
    node.transactions.submit(tx, { test: true }, (result) => {
      const fate = fateOf(result);
      if (fate.type !== 'accepted') return end(fate);
      if (fate.fee > maxFee) return end({ type: 'fee-exceeded' });
      submit();
    });
  }

  /** What the transaction would pay if all its coins are known and unspent; 0n if not, for then it is refused anyway. */
  #fee(tx: Transaction): bigint {
    let fee = 0n;
    for (const { prevout } of tx.inputs) {
      const coin = this.#node.coin(prevout.txid, prevout.vout);
      if (coin === undefined) return 0n;
      fee += coin.value;
    }
    for (const output of tx.outputs) fee -= output.value;
    return fee;
  }

  #testAccept(txs: readonly Transaction[], maxFeeRate: bigint, reply: (answer: RpcReply) => void): void {
    const [only] = txs;
    if (only !== undefined && txs.length === 1) {
      const end = (result: TransactionEnd) => reply(testAcceptAnswer(only, fateOf(result), maxFeeRate));
      return this.#node.transactions.submit(only, { test: true }, end);
    }
    this.#node.transactions.submitPackage(txs, { test: true }, (outcome) =>
      reply(testPackageAnswer(txs, outcome, maxFeeRate)),
    );
  }

  #generate(request: RequestId, order: GenerateOrder, end: Parameters<GrapevineNode['startGenerate']>[1]): void {
    // A job may end before `startGenerate` returns: only one that is still open has to be cancelled later.
    const id: GenerateId | undefined = this.#node.startGenerate(order, end);
    if (id === undefined) return this.#reply(request, error(RpcCode.misc, 'Too many mining jobs wait'));
    if (this.#open.has(request)) this.#open.set(request, () => this.#node.cancelGenerate(id));
  }

  #startScan(request: RequestId, restartOnTip: boolean, begin: () => RowReader): void {
    const job: ScanJob = { request, begin, restartOnTip, running: new Set(), attempts: 0 };
    this.#open.set(request, () => this.#cancelScans(job));
    this.#scan(job);
  }

  #scan(job: ScanJob): void {
    job.attempts++;
    this.#nextRanges(job, job.begin());
  }

  #nextRanges(job: ScanJob, reader: RowReader): void {
    const most = reader.inAnyOrder === true ? MAX_RANGES_AT_ONCE : 1;
    while (job.running.size < most) {
      const range = reader.nextRange();
      if (range === undefined) break;
      const scan = this.#nextScan++ as ScanId;
      job.running.add(scan);
      this.#scans.set(scan, { job, reader, range });
      this.#node.act({ type: 'scan', scan, ...range, limit: ROWS_PER_PAGE });
    }
    if (job.running.size === 0) this.#reply(job.request, reader.answer(this.#context()));
  }

  #cancelScans({ running }: ScanJob): void {
    for (const scan of running) {
      this.#scans.delete(scan);
      this.#node.act({ type: 'cancel-scan', scan });
    }
    running.clear();
  }
}

function fateOf(end: TransactionEnd): TransactionFate {
  return end.type === 'accepted'
    ? { type: 'accepted', fee: end.entry.fee, modifiedFee: end.entry.modifiedFee, vsize: end.entry.vsize }
    : { type: 'rejected', reject: end.reject };
}
