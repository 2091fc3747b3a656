/**
 * Calls of users that cannot be answered at once. rpc/ turns a call into an answer or a command; here the command is
 * carried out through the node, and the answer is made when it is done. Owns what each open request is waiting for, so
 * that a caller who has gone stops costing anything.
 */
import { unreachable } from '../consensus/brand.ts';
import type { Transaction } from '../consensus/transaction.ts';
import type { RequestId, Row, RpcParams, ScanId } from './boundary.ts';
import type { KeyRange } from './chain/schema.ts';
import type { GenerateId, GenerateOrder } from './mining/generate.ts';
import type { GrapevineNode, TransactionEnd } from './node.ts';
import { error, nothing, RpcCode, type RpcCommand, type RpcReply } from './rpc/answer.ts';
import {
  CoinStats,
  generateAnswer,
  generateBlockAnswer,
  type RowReader,
  ScriptCoins,
  ScriptHistory,
  sendTransactionAnswer,
  submitBlockAnswer,
  type TransactionFate,
  testAcceptAnswer,
} from './rpc/answers.ts';
import { callRpc, toOutcome } from './rpc/call.ts';
import { isAboveLimit } from './rpc/fee-limit.ts';

const ROWS_PER_PAGE = 1000;
/** A scan of scripts begins again when the chain moves meanwhile; one that never gets through is given up. */
const MAX_SCAN_ATTEMPTS = 100;

/** Reads ranges of the store, one after the other, into something that takes rows. */
interface ScanJob {
  readonly request: RequestId;
  /** Makes the reader; called again when the scan has to begin again. */
  readonly begin: () => RowReader;
  /** The rows are only true together with the pool and tip of the moment: begin again if the tip moves. */
  readonly restartOnTip: boolean;
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
  readonly #scans = new Map<ScanId, RunningScan>();
  readonly #stale = new Set<ScanId>();
  /** Nodes of `addnode add`, by the text that named them. */
  readonly #manual = new Set<string>();
  #nextScan = 1;

  constructor(node: GrapevineNode) {
    this.#node = node;
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
    const answer = callRpc(this.#node.context([...this.#manual]), method, params);
    if (answer.type === 'command') this.#execute(request, answer.command);
    else this.#reply(request, answer);
  }

  /** The caller has gone. */
  onClosed(request: RequestId): void {
    const release = this.#open.get(request);
    this.#open.delete(request);
    release?.();
  }

  onStop(): void {
    for (const request of [...this.#open.keys()]) {
      this.#open.get(request)?.();
      this.#reply(request, error(RpcCode.misc, 'The node stops'));
    }
  }

  /** The tip moved: rows that were read belong to another state. */
  onTip(): void {
    for (const [scan, { job }] of this.#scans) if (job.restartOnTip) this.#stale.add(scan);
  }

  /** Scans whose state is gone begin again: once after all that an event did to the chain. */
  restartScans(): void {
    for (const scan of this.#stale) {
      const job = this.#scans.get(scan)?.job;
      if (job === undefined) continue;
      this.#scans.delete(scan);
      this.#node.act({ type: 'cancel-scan', scan });
      if (job.attempts >= MAX_SCAN_ATTEMPTS) {
        this.#reply(job.request, error(RpcCode.misc, 'The chain moves faster than it can be read; try again later'));
      } else this.#scan(job);
    }
    this.#stale.clear();
  }

  onScanned(scan: ScanId, rows: readonly Row[], done: boolean): void {
    const running = this.#scans.get(scan);
    if (running === undefined) return;
    running.reader.onRows(rows);
    if (!done) {
      this.#node.act({ type: 'scan', scan, ...running.range, limit: ROWS_PER_PAGE });
      return;
    }
    this.#scans.delete(scan);
    this.#nextRange(running.job, running.reader);
  }

  #reply(request: RequestId, reply: RpcReply): void {
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
        if (how === 'onetry') node.dialer.dialOnce(target);
        else if (how === 'add') {
          node.dialer.addManual(target, node.now);
          this.#manual.add(text);
        } else {
          node.dialer.removeManual(target);
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
      case 'script-coins':
        return this.#startScan(request, true, () => new ScriptCoins(command.hashes, command.single));
      case 'script-history':
        return this.#startScan(request, true, () => new ScriptHistory(command.hashes, command.single));
      case 'set-deny':
        node.setDeny(command.names, command.endpoints);
        return reply(nothing);
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
      node.saveForUser(known);
      return end({ type: 'accepted', fee: known.fee, vsize: known.vsize });
    }
    const submit = () => node.submitTransaction(tx, {}, (result) => end(fateOf(result)));
    if (maxFee === 0n || this.#fee(tx) <= maxFee) return submit();
    node.submitTransaction(tx, { test: true }, (result) => {
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

  /** One after the other: each sees those before it as if they were in the pool, and the first failure ends it. */
  #testAccept(txs: readonly Transaction[], maxFeeRate: bigint, reply: (answer: RpcReply) => void): void {
    const fates: TransactionFate[] = [];
    const next = (): void => {
      const tx = txs[fates.length];
      if (tx === undefined) return reply(testAcceptAnswer(txs, fates, maxFeeRate));
      this.#node.submitTransaction(tx, { test: true, package: txs.slice(0, fates.length) }, (result) => {
        const fate = fateOf(result);
        const tooMuch = fate.type === 'accepted' && isAboveLimit(fate.fee, maxFeeRate, fate.vsize);
        fates.push(tooMuch ? { type: 'fee-exceeded' } : fate);
        if (fate.type !== 'accepted' || tooMuch) reply(testAcceptAnswer(txs, fates, maxFeeRate));
        else next();
      });
    };
    next();
  }

  #generate(request: RequestId, order: GenerateOrder, end: Parameters<GrapevineNode['startGenerate']>[1]): void {
    // A job may end before `startGenerate` returns: only one that is still open has to be cancelled later.
    const id: GenerateId | undefined = this.#node.startGenerate(order, end);
    if (id === undefined) return this.#reply(request, error(RpcCode.misc, 'Too many mining jobs wait'));
    if (this.#open.has(request)) this.#open.set(request, () => this.#node.cancelGenerate(id));
  }

  #startScan(request: RequestId, restartOnTip: boolean, begin: () => RowReader): void {
    this.#scan({ request, begin, restartOnTip, attempts: 0 });
  }

  #scan(job: ScanJob): void {
    job.attempts++;
    this.#nextRange(job, job.begin());
  }

  #nextRange(job: ScanJob, reader: RowReader): void {
    const range = reader.nextRange();
    if (range === undefined) return this.#reply(job.request, reader.answer(this.#node.context([])));
    const scan = this.#nextScan++ as ScanId;
    this.#scans.set(scan, { job, reader, range });
    this.#open.set(job.request, () => {
      this.#scans.delete(scan);
      this.#node.act({ type: 'cancel-scan', scan });
    });
    this.#node.act({ type: 'scan', scan, ...range, limit: ROWS_PER_PAGE });
  }
}

function fateOf(end: TransactionEnd): TransactionFate {
  return end.type === 'accepted'
    ? { type: 'accepted', fee: end.entry.fee, vsize: end.entry.vsize }
    : { type: 'rejected', reject: end.reject };
}
