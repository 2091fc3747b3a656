/** The machines that the methods look at, real ones over memory, fed with blocks and transactions that tests build. */
import type { Block } from '../../../consensus/block.ts';
import { regtest } from '../../../consensus/params.ts';
import { verifySchnorr } from '../../../consensus/signature.ts';
import type { Transaction } from '../../../consensus/transaction.ts';
import type { Now, RpcOutcome, RpcParams } from '../../../node/boundary.ts';
import { type ChainProgress, ChainState } from '../../../node/chain/chain-state.ts';
import { HeaderTree } from '../../../node/chain/header-tree.ts';
import { MemoryBlockFiles, MemoryStore } from '../../../node/chain/memory-store.ts';
import { localLimits } from '../../../node/limits.ts';
import type { Entry } from '../../../node/mempool/entry.ts';
import type { PackageResult } from '../../../node/mempool/packages.ts';
import { Mempool, type PackageOptions, type Verdict } from '../../../node/mempool/pool.ts';
import { checkProposal } from '../../../node/mining/proposal.ts';
import { buildTemplate } from '../../../node/mining/template.ts';
import { Bans } from '../../../node/peer/bans.ts';
import type { RpcCommand, RpcReply } from '../../../node/rpc/answer.ts';
import {
  type BlockFate,
  CoinScan,
  CoinStats,
  type RowReader,
  ScriptBalances,
  ScriptCoins,
  ScriptHistory,
  sendTransactionAnswer,
  submitBlockAnswer,
  type TransactionFate,
  testAcceptAnswer,
} from '../../../node/rpc/answers.ts';
import { banAnswer, unbanAnswer } from '../../../node/rpc/bans.ts';
import { proposalAnswer, submitHeaderAnswer, TemplateCache } from '../../../node/rpc/block-template.ts';
import { callRpc, type RpcAnswer, type RpcContext, toOutcome } from '../../../node/rpc/call.ts';
import { callsOf, formatReply, type HttpReply, parseBody } from '../../../node/rpc/envelope.ts';
import { prioritiseAnswer, submitPackageAnswer, testPackageAnswer } from '../../../node/rpc/packages.ts';
import type { HeldCall } from '../../../node/rpc/waiting.ts';

const CHECK_SIZE = 128;
const ROWS_PER_PAGE = 10;

/** The lowest packed check that does not hold, or null. */
function firstFailure(checks: Uint8Array): number | null {
  for (let at = 0; at < checks.length; at += CHECK_SIZE) {
    const check = checks.subarray(at, at + CHECK_SIZE);
    if (!verifySchnorr(check.subarray(0, 32), check.subarray(32, 64), check.subarray(64))) return at / CHECK_SIZE;
  }
  return null;
}

export class RpcNode {
  readonly store = new MemoryStore();
  readonly tree: HeaderTree;
  readonly chain: ChainState;
  readonly pool = new Mempool({ limits: localLimits });
  readonly templates = new TemplateCache((script) => {
    const { tip } = this.chain;
    return buildTemplate({
      source: this.pool,
      tip: {
        hash: tip.hash,
        height: tip.height,
        time: tip.header.time,
        medianTimePast: tip.medianTimePast,
        anchorTime: 0,
      },
      params: regtest,
      now: this.now.unix,
      script,
    });
  });
  now: Now = { mono: 5_000, unix: 1_800_000_000 };
  bans = new Bans({ limits: localLimits, saved: undefined, now: this.now });
  /** What a test wants otherwise than it is here. */
  overrides: Partial<RpcContext> = {};

  constructor() {
    this.tree = new HeaderTree(regtest, []);
    this.chain = new ChainState({
      params: regtest,
      tree: this.tree,
      store: this.store,
      blockFiles: new MemoryBlockFiles(),
      limits: localLimits,
      verified: () => false,
    });
  }

  get context(): RpcContext {
    return {
      params: regtest,
      limits: localLimits,
      now: this.now,
      startedAt: { mono: 0, unix: 1_799_999_995 },
      tree: this.tree,
      chain: this.chain,
      pool: this.pool,
      initialSync: false,
      services: 0x1000009n,
      userAgent: '/Grapevine:0.1.0/',
      verifier: { backend: 'noble', library: 'noble (JavaScript)', workers: 2 },
      localAddresses: [{ host: '127.0.0.1', port: 18444, score: 1 }],
      sizeOnDisk: this.tree.bodyBytes,
      peers: () => [],
      addresses: () => [],
      addressCounts: () => new Map(),
      bans: () => this.bans.list(this.now),
      manualNodes: () => [],
      networkActive: true,
      traffic: { sent: 0, received: 0 },
      activeCalls: () => [{ method: 'getrpcinfo', since: this.now.mono }],
      miningScript: undefined,
      templates: this.templates,
      ...this.overrides,
    };
  }

  /** The answer of a call as it is; commands are not carried out. */
  ask(method: string, params: RpcParams = []): RpcAnswer {
    return callRpc(this.context, method, params);
  }

  /** The result of a call, read from its JSON; an error comes back as `{ code, message }`. */
  call(method: string, ...params: readonly unknown[]): unknown {
    return this.callNamed(method, params);
  }

  /** The reply to the body of a POST. */
  post(text: string): HttpReply {
    const body = parseBody(text);
    return formatReply(
      body,
      callsOf(body).map(({ method, params }) => this.#run(method, params)),
    );
  }

  #run(method: string, params: RpcParams): RpcOutcome {
    const answer = this.ask(method, params);
    return toOutcome(answer.type === 'command' ? this.execute(answer.command) : answer);
  }

  callNamed(method: string, params: RpcParams): unknown {
    const outcome = this.#run(method, params);
    return outcome.ok ? JSON.parse(outcome.json) : { code: outcome.code, message: outcome.message };
  }

  /** Carries out the commands that need no mining and no network. */
  execute(command: RpcCommand): RpcReply {
    switch (command.type) {
      case 'send-transaction': {
        const tried = command.maxFee === 0n ? undefined : this.submitTransaction(command.tx, { test: true });
        if (tried?.type === 'rejected') return sendTransactionAnswer(command.tx, tried);
        if (tried?.type === 'accepted' && tried.fee > command.maxFee) {
          return sendTransactionAnswer(command.tx, { type: 'fee-exceeded' });
        }
        return sendTransactionAnswer(command.tx, this.submitTransaction(command.tx));
      }
      case 'test-accept': {
        const { txs, maxFeeRate } = command;
        const [only] = txs;
        if (only !== undefined && txs.length === 1) {
          return testAcceptAnswer(only, this.submitTransaction(only, { test: true }), maxFeeRate);
        }
        return testPackageAnswer(txs, this.submitPackage(txs, { test: true }), maxFeeRate);
      }
      case 'submit-package':
        return submitPackageAnswer(command.txs, this.submitPackage(command.txs, { maxFeeRate: command.maxFeeRate }));
      case 'prioritise':
        return prioritiseAnswer(this.pool.prioritise(command.txid, command.satoshis));
      case 'submit-block':
        return submitBlockAnswer(this.submitBlock(command.block));
      case 'invalidate':
      case 'reconsider':
      case 'precious': {
        const node = this.tree.get(command.hash);
        if (node === undefined) throw new Error('the method lets only known blocks through');
        this.chain[command.type](node);
        this.settle();
        return { type: 'result', value: null };
      }
      case 'submit-header': {
        const added = this.tree.add(command.header, this.now.unix);
        return submitHeaderAnswer(added.ok ? null : added.error);
      }
      case 'check-proposal': {
        const { chain, now } = this;
        const proposal = checkProposal(command.block, {
          params: regtest,
          chain,
          anchorTime: 0,
          now: now.unix,
          verified: () => false,
        });
        if (!proposal.ok) return proposalAnswer(proposal.error);
        const failed = firstFailure(proposal.value.checks);
        return proposalAnswer(failed === null ? null : proposal.value.rejectOf(failed));
      }
      case 'ban':
        return banAnswer(this.bans.ban(command.subnet, command.until, this.now));
      case 'unban':
        return unbanAnswer(this.bans.unban(command.subnet, this.now));
      case 'clear-bans':
        this.bans.clear(this.now);
        return { type: 'result', value: null };
      case 'hold':
        return this.#wait(command.call);
      case 'ping':
        return { type: 'result', value: null };
      case 'set-network-active':
        return { type: 'result', value: command.active };
      case 'coin-stats':
        return this.#read(new CoinStats(command.hashType));
      case 'coin-scan':
        return this.#read(new CoinScan(command.scripts));
      case 'script-balances':
        return this.#read(new ScriptBalances(command.hashes, command.single, this.chain.tip.height));
      case 'script-coins':
        return this.#read(new ScriptCoins(command.hashes, command.single));
      case 'script-history':
        return this.#read(new ScriptHistory(command.hashes, command.single));
      default:
        throw new Error(`not carried out here: ${command.type}`);
    }
  }

  /** Nothing happens here but that time passes. */
  #wait(call: HeldCall): RpcReply {
    for (let step = call.poll(this.context); ; step = call.poll(this.context)) {
      if (step.type !== 'later') return step;
      if (step.at === undefined) throw new Error('waits for ever');
      this.now = { ...this.now, mono: Math.max(this.now.mono, step.at) };
    }
  }

  /** Answers a call out of the store, in pages as a scan brings them. */
  #read(reader: RowReader): RpcReply {
    for (let range = reader.nextRange(); range !== undefined; range = reader.nextRange()) {
      const rows = this.store.range(range.gte, range.lt);
      for (let at = 0; at < rows.length; at += ROWS_PER_PAGE) reader.onRows(rows.slice(at, at + ROWS_PER_PAGE), range);
    }
    return reader.answer(this.context);
  }

  submitBlock(block: Block): BlockFate {
    const { result, node } = this.chain.acceptBlock(block, this.now.unix);
    if (result !== null) return { type: 'rejected', reject: result };
    const failure = this.settle().find((one) => one.node === node);
    if (failure !== undefined) return { type: 'rejected', reject: failure.reject };
    return { type: node !== undefined && this.chain.contains(node) ? 'connected' : 'inconclusive' };
  }

  submitPackage(txs: readonly Transaction[], options: PackageOptions): PackageResult {
    let verdict = this.pool.submitPackage(txs, this.chain, this.now, options);
    while (verdict.type === 'verify') {
      const failed = firstFailure(verdict.checks);
      const [step] = this.pool.onVerified(verdict.ticket, failed, this.chain, this.now);
      if (step?.type !== 'package') throw new Error('a single ticket goes on at once');
      verdict = step.verdict;
    }
    if (verdict.type !== 'settled') throw new Error(`unexpected: ${verdict.type}`);
    return verdict.result;
  }

  submitTransaction(tx: Transaction, options: { test?: boolean } = {}): TransactionFate {
    const verdict: Verdict = this.pool.submit(tx, this.chain, this.now, options);
    if (verdict.type === 'rejected') return verdict;
    if (verdict.type === 'accepted') return accepted(verdict.entry);
    if (verdict.type !== 'verify') throw new Error(`unexpected: ${verdict.type}`);
    const [settled] = this.pool.onVerified(verdict.ticket, firstFailure(verdict.checks), this.chain, this.now);
    if (settled?.type !== 'transaction') throw new Error('a single ticket settles at once');
    return settled.result.type === 'rejected' ? settled.result : accepted(settled.result.entry);
  }

  /** Lets the chain find its tip. */
  settle(): ChainProgress['failures'] {
    const failures: ChainProgress['failures'] = [];
    const take = (progress: ChainProgress): boolean => {
      failures.push(...progress.failures);
      for (const update of progress.updates) this.pool.onChainUpdate(update, this.chain, this.now);
      let more = progress.more;
      for (const { ticket, checks } of progress.verify) {
        more = take(this.chain.onVerified(ticket, firstFailure(checks))) || more;
      }
      return more;
    };
    while (take(this.chain.advance()));
    return failures;
  }
}

function accepted({ fee, modifiedFee, vsize }: Entry): TransactionFate {
  return { type: 'accepted', fee, modifiedFee, vsize };
}
