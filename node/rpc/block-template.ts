/**
 * getblocktemplate (BIP 22, 23, 145; RULES D4): templates for miners outside the node, the long poll that tells them of
 * another tip at once, and the check of blocks that are only proposed. Owns the template that is handed out again while
 * it is fresh, and the form of the answers; what goes into a block is mining/'s to say, and whether one is valid
 * consensus/'s.
 */
import { bytesToHex, hexToBytes } from '#hash';
import type { Block } from '../../consensus/block.ts';
import { type BlockHash, type Bytes, fail, ok, type Result, type Txid } from '../../consensus/brand.ts';
import {
  commitmentHash,
  commitmentScript,
  findCommitment,
  RESERVED_VALUE_SIZE,
  witnessRoot,
} from '../../consensus/merkle.ts';
import { MAX_BLOCK_SIGOPS_COST, MAX_BLOCK_WEIGHT, WITNESS_SCALE } from '../../consensus/params.ts';
import { targetOf } from '../../consensus/pow.ts';
import type { Reject } from '../../consensus/reject.ts';
import { legacySigops } from '../../consensus/sigops.ts';
import { encodeTransaction, makeTransaction, type Transaction } from '../../consensus/transaction.ts';
import type { Millis } from '../boundary.ts';
import type { Template } from '../mining/template.ts';
import { command, error, type RpcAnswer, RpcCode, type RpcError, type RpcReply, result } from './answer.ts';
import type { RpcContext } from './context.ts';
import { decodeHexBlock } from './decode-hex.ts';
import { hexNumber, JsonText, type JsonValue } from './json.ts';
import { method, type RpcMethod } from './method.ts';
import { object, readHash, readTexts } from './params.ts';
import { type HeldCall, later } from './waiting.ts';

/** A template and what of its answer does not change with the clock. */
interface Cached {
  readonly template: Template;
  /** Whom its coinbase pays: undefined for nobody, which is the miner's to change. */
  readonly script: Bytes | undefined;
  readonly builtAt: Millis;
  /** What `pool.changes` was then. */
  readonly changes: number;
  readonly transactions: JsonText;
  /** The script of the output that commits to the witnesses. */
  readonly commitment: string;
}

/** The last template: miners ask often, and building one from a full pool takes time. */
export class TemplateCache {
  readonly #build: (script: Bytes) => Template;
  #cached: Cached | undefined;
  /** The longest part of what is said of a transaction; most stay in one template after the other. */
  readonly #heads = new WeakMap<Transaction, string>();

  /** `build` makes a template on the present tip, whose coinbase pays to the script. */
  constructor(build: (script: Bytes) => Template) {
    this.#build = build;
  }

  /** A template on the tip: a new one where the tip is another, or the pool is and the last one is old. */
  get({ chain, pool, limits, now, miningScript }: RpcContext): Cached {
    const cached = this.#cached;
    const isFresh =
      cached?.template.prevHash === chain.tip.hash &&
      cached.script === miningScript &&
      (cached.changes === pool.changes || now.mono - cached.builtAt <= limits.templateCacheMs);
    if (cached !== undefined && isFresh) return cached;
    const template = this.#build(miningScript ?? new Uint8Array(0));
    const { transactions, fees } = template;
    this.#cached = {
      template,
      script: miningScript,
      builtAt: now.mono,
      changes: pool.changes,
      transactions: this.#transactionsJson(transactions, fees),
      commitment: commitmentOf(template),
    };
    return this.#cached;
  }

  /** Written here rather than by `stringify`: a full block has thousands, and each is asked for many times. */
  #transactionsJson(transactions: readonly Transaction[], fees: readonly bigint[]): JsonText {
    const places = new Map<Txid, number>();
    const members = transactions.map((tx, index) => {
      const depends = new Set<number>();
      for (const { prevout } of tx.inputs) {
        const place = places.get(prevout.txid);
        if (place !== undefined) depends.add(place);
      }
      places.set(tx.txid, index + 1);
      const sigops = legacySigops(tx) * WITNESS_SCALE;
      const weight = (WITNESS_SCALE - 1) * tx.strippedSize + tx.size;
      const tail = `"depends":[${[...depends].sort((a, b) => a - b)}],"fee":${fees[index]},"sigops":${sigops}`;
      return `{${this.#headOf(tx)},${tail},"weight":${weight}}`;
    });
    return new JsonText(`[${members.join(',')}]`);
  }

  #headOf(tx: Transaction): string {
    let head = this.#heads.get(tx);
    if (head === undefined) {
      head = `"data":"${bytesToHex(encodeTransaction(tx))}","txid":"${tx.txid}","hash":"${tx.wtxid}"`;
      this.#heads.set(tx, head);
    }
    return head;
  }
}

/** Also of a block without payments: a miner may add some of its own. The coinbase itself counts as zero. */
function commitmentOf({ coinbase, transactions }: Template): string {
  const present = coinbase.outputs[findCommitment(coinbase)];
  if (present !== undefined) return bytesToHex(present.scriptPubKey);
  const root = witnessRoot({ transactions: [coinbase, ...transactions] });
  return bytesToHex(commitmentScript(commitmentHash(root, new Uint8Array(RESERVED_VALUE_SIZE))));
}

/**
 * Core's answer, member by member. `mintime` is the median alone, without BIP 94's bound, which `curtime` keeps. A miner
 * that can do with a finished coinbase gets one as well, if the user of the node has said whom it shall pay.
 */
function templateReply(context: RpcContext, capabilities: readonly unknown[]): RpcReply {
  const { template, script, changes, transactions, commitment } = context.templates.get(context);
  const givesCoinbase = script !== undefined && capabilities.includes('coinbasetxn');
  const { prevHash, bits, height } = template;
  return result({
    capabilities: ['proposal'],
    version: template.version,
    rules: ['csv', '!segwit', 'taproot'],
    vbavailable: {},
    vbrequired: 0,
    previousblockhash: prevHash,
    transactions,
    coinbaseaux: {},
    coinbasevalue: template.coinbaseValue,
    coinbasetxn: givesCoinbase ? coinbaseJson(template, commitment) : undefined,
    longpollid: `${prevHash}${changes}`,
    target: hexNumber(targetOf(bits), 64),
    mintime: context.chain.tip.medianTimePast + 1,
    mutable: ['time', 'transactions', 'prevblock'],
    noncerange: '00000000ffffffff',
    sigoplimit: MAX_BLOCK_SIGOPS_COST,
    sizelimit: MAX_BLOCK_WEIGHT,
    weightlimit: MAX_BLOCK_WEIGHT,
    curtime: Math.max(template.minTime, context.now.unix),
    bits: hexNumber(bits, 8),
    height,
    default_witness_commitment: commitment,
  });
}

/** Without its witness, which submitblock adds, but with the commitment. */
function coinbaseJson({ coinbase }: Template, commitment: string): JsonValue {
  const [reward] = coinbase.outputs;
  if (reward === undefined) throw new Error('a template pays nobody');
  const outputs = [reward, { value: 0n, scriptPubKey: hexToBytes(commitment) }];
  const complete = makeTransaction({ ...coinbase, outputs });
  return { data: bytesToHex(encodeTransaction(complete, { witness: false })) };
}

/** A miner that knows a template asks for a better one: what it knows of the tip and of the pool. */
interface Known {
  readonly tip: BlockHash;
  readonly changes: number;
}

/** Held until the tip is another one; or, first after a minute and then now and then, until the pool is. */
function longPoll({ now, limits }: RpcContext, known: Known, capabilities: readonly unknown[]): RpcAnswer {
  let checkAt = now.mono + limits.longPollMs;
  const call: HeldCall = {
    poll: (context) => {
      if (context.chain.tip.hash !== known.tip) return templateReply(context, capabilities);
      if (context.now.mono >= checkAt) {
        if (context.pool.changes !== known.changes) return templateReply(context, capabilities);
        checkAt = context.now.mono + limits.longPollRecheckMs;
      }
      return later(checkAt);
    },
    stopped: () => error(RpcCode.clientNotConnected, 'Shutting down'),
  };
  return command({ type: 'hold', call });
}

/** On the internet work on a tip that others have left behind is lost; on a network for tests one node may be all there is. */
function notReady({ params, peers, initialSync }: RpcContext): RpcError | undefined {
  if (params.loopbackRoutable) return undefined;
  if (peers().length === 0) return error(RpcCode.clientNotConnected, 'Grapevine is not connected!');
  if (!initialSync) return undefined;
  return error(RpcCode.clientInInitialDownload, 'Grapevine is in initial sync and waiting for blocks...');
}

/** A block without proof of work, to be checked on the tip. */
function propose({ tree, chain }: RpcContext, block: Block): RpcAnswer {
  const { hash, prevHash } = block.header;
  const known = tree.get(hash);
  if (known !== undefined) {
    if (known.invalid !== false) return result('duplicate-invalid');
    return result(known.status === 'valid' ? 'duplicate' : 'duplicate-inconclusive');
  }
  if (prevHash !== chain.tip.hash) return result('inconclusive-not-best-prevblk');
  return command({ type: 'check-proposal', block });
}

/** The answer to a proposal: null if the block would be valid. */
export function proposalAnswer(reject: Reject | null): RpcReply {
  return result(reject === null ? null : reject.reason);
}

/** submitheader: null where the header is fine. */
export function submitHeaderAnswer(reject: Reject | null): RpcReply {
  return reject === null ? result(null) : error(RpcCode.verify, reject.reason);
}

/** What is asked for, members that are not looked at left out. */
type TemplateRequest =
  | { readonly mode: 'proposal'; readonly block: Block }
  | {
      readonly mode: 'template';
      readonly rules: readonly string[];
      /** What the client can do: texts that we know are looked for, the rest is not looked at. */
      readonly capabilities: readonly unknown[];
      /** Undefined: answer at once. Null: the caller knows the present template, whatever it says. */
      readonly longPoll: Known | null | undefined;
    };

function readRequest(given: Readonly<Record<string, unknown>>): Result<TemplateRequest, RpcError> {
  const mode = given['mode'] ?? 'template';
  if (mode === 'proposal') {
    const data = given['data'];
    if (typeof data !== 'string') return fail(error(RpcCode.type, 'Missing data String key for proposal'));
    const block = decodeHexBlock(data);
    return block === undefined
      ? fail(error(RpcCode.deserialization, 'Block decode failed'))
      : ok({ mode: 'proposal', block });
  }
  const rules = readTexts(Array.isArray(given['rules']) ? given['rules'] : []);
  if (!rules.ok) return rules;
  if (mode !== 'template') return fail(error(RpcCode.parameter, 'Invalid mode'));
  const capabilities: readonly unknown[] = Array.isArray(given['capabilities']) ? given['capabilities'] : [];
  const request = { mode, rules: rules.value, capabilities } as const;
  const id = given['longpollid'] ?? undefined;
  if (typeof id !== 'string') return ok({ ...request, longPoll: id === undefined ? undefined : null });
  const tip = readHash<BlockHash>(id.slice(0, 64), 'longpollid');
  if (!tip.ok) return tip;
  // As in Core: what is no number counts as zero.
  const changes = Number(/^\d{1,15}/.exec(id.slice(64))?.[0] ?? 0);
  return ok({ ...request, longPoll: { tip: tip.value, changes } });
}

export const templateMethods: readonly RpcMethod[] = [
  method({
    name: 'getblocktemplate',
    category: 'mining',
    description:
      'What a miner outside the node needs to find the next block (BIP 22, 23 and 145). With "longpollid" of a template\n' +
      'the answer comes when there is another tip, or after a minute when the mempool has changed. With mode "proposal"\n' +
      'a block without proof of work is checked on the tip.',
    params: {
      template_request: object(
        '{"mode":"str","capabilities":["str",...],"rules":["segwit","str",...],"longpollid":"str","data":"hex"}',
        'What is asked for; "rules" must contain "segwit"',
        readRequest,
      ),
    },
    result:
      '{ "previousblockhash", "transactions", "coinbasevalue", "longpollid", "target", "curtime", "bits", "height",\n' +
      '  "default_witness_commitment", ... }    (object)\n' +
      'null or "reason"    (string) with mode "proposal": whether the block would be valid',
    example: '\'{"rules":["segwit"]}\'',
    run: (context, { template_request: request }) => {
      if (request.mode === 'proposal') return propose(context, request.block);
      const why = notReady(context);
      if (why !== undefined) return why;
      if (!request.rules.includes('segwit')) {
        const message = 'getblocktemplate must be called with the segwit rule set (call with {"rules": ["segwit"]})';
        return error(RpcCode.parameter, message);
      }
      const { capabilities } = request;
      if (request.longPoll === undefined) return templateReply(context, capabilities);
      const { template, changes } = context.templates.get(context);
      return longPoll(context, request.longPoll ?? { tip: template.prevHash, changes }, capabilities);
    },
  }),
];
