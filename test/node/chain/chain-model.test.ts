/**
 * Random trees of blocks, good and bad, arriving in random order while answers are late and the node is restarted: the
 * chain must always be in the state of one block, and end at the best valid one.
 */
import { describe, expect, test } from '@jest/globals';
import fc from 'fast-check';
import { p2trScript } from '../../../consensus/address.ts';
import type { Block } from '../../../consensus/block.ts';
import { type OutPointKey, outPointKey } from '../../../consensus/brand.ts';
import {
  type Coin,
  makeTransaction,
  type Transaction,
  type TransactionFields,
  type TxOutput,
} from '../../../consensus/transaction.ts';
import type { ChainUpdate } from '../../../node/chain/chain-state.ts';
import type { HeaderNode } from '../../../node/chain/header-tree.ts';
import type { Limits } from '../../../node/limits.ts';
import { buildBlock, carry, TestChain } from '../../support/chain-builder.ts';
import { expectState, GENESIS_STATE, type ReplayedState, replay, TestNode, WRONG } from './harness.ts';

const BASE_HEIGHT = 106;
const MATURITY = 100;
const base = TestChain.ofHeight(BASE_HEIGHT);
const baseState = base.blocks.slice(1).reduce((state, block, index) => replay(state, block, index + 1), GENESIS_STATE);

const baseNode = new TestNode();
for (const block of base.blocks.slice(1)) baseNode.submit(block);

/** What is wrong with a block, if anything. The reasons are those that its discovery must give. */
const FAULTS = {
  none: null,
  signature: 'mandatory-script-verify-flag-failed (Invalid Schnorr signature)',
  'spent coin': 'bad-txns-inputs-missingorspent',
  immature: 'bad-txns-premature-spend-of-coinbase',
  greedy: 'bad-cb-amount',
  script: 'subset-output-script',
} as const;
type Fault = keyof typeof FAULTS;

interface BlockPlan {
  /** How many blocks back from the newest its parent is. */
  readonly back: number;
  readonly fault: Fault;
  /** One number per payment, from which everything about it follows. */
  readonly payments: readonly number[];
}

interface PlannedBlock {
  readonly block: Block;
  readonly height: number;
  readonly fault: Fault;
  readonly parent: PlannedBlock | undefined;
  /** Neither it nor an ancestor has a fault. */
  readonly valid: boolean;
  readonly state: ReplayedState;
}

/** Builds the tree. A block whose fault needs a coin that is not there stays without it. */
function build(plans: readonly BlockPlan[]): PlannedBlock[] {
  const planned: PlannedBlock[] = [];
  for (const [number, plan] of plans.entries()) {
    const parent = planned[planned.length - 1 - plan.back];
    const state = parent?.state ?? baseState;
    const height = (parent?.height ?? BASE_HEIGHT) + 1;
    const place =
      parent === undefined
        ? base.place
        : { hash: parent.block.header.hash, height: parent.height, time: parent.block.header.time };
    const { transactions, fault, fees } = buildPayments(state, height, plan, number);
    const block = buildBlock(place, {
      tag: `block ${number}`,
      transactions,
      fees: fees + (fault === 'greedy' ? 1n : 0n),
    });
    const valid = fault === 'none' && (parent?.valid ?? true);
    planned.push({ block, height, fault, parent, valid, state: replay(state, block, height) });
  }
  return planned;
}

function buildPayments(
  state: ReplayedState,
  height: number,
  plan: BlockPlan,
  number: number,
): { transactions: Transaction[]; fault: Fault; fees: bigint } {
  const isRich = ({ value }: Coin) => value > 10_000n;
  const isMature = (coin: Coin) => !coin.coinbase || height - coin.height >= MATURITY;
  const coins = [...state.coins].filter(([, coin]) => isMature(coin) && isRich(coin));
  const spent: OutPointKey[] = [];
  const transactions: Transaction[] = [];
  let fees = 0n;
  const take = (choice: number) => coins.splice(choice % coins.length, 1)[0] as [OutPointKey, Coin];
  for (const [index, choice] of plan.payments.entries()) {
    if (coins.length === 0) break;
    const inputs = [take(choice), ...(choice % 3 === 0 && coins.length > 0 ? [take(choice >>> 3)] : [])];
    const total = inputs.reduce((sum, [, { value }]) => sum + value, 0n);
    // Few scripts, so that each has a history of several transactions.
    const outputs = [payTo(choice % 7, total / 2n), payTo((choice >>> 5) % 7, total / 2n - 1000n)];
    const data = choice % 4 === 0 ? [carry(`payment ${index}`)] : [];
    const isLast = index === plan.payments.length - 1;
    const tx = payment(inputs, [...outputs, ...data], plan.fault === 'signature' && isLast ? WRONG : number);
    fees += total - tx.outputs.reduce((sum, { value }) => sum + value, 0n);
    transactions.push(tx);
    spent.push(...inputs.map(([key]) => key));
    // The outputs may be spent further down in the same block.
    for (const [vout, { value, scriptPubKey }] of outputs.entries()) {
      const coin = { value, scriptPubKey, height, coinbase: false };
      if (isRich(coin)) coins.push([outPointKey(tx.txid, vout), coin]);
    }
  }
  const plain = { transactions, fault: 'none', fees } as const;
  switch (plan.fault) {
    case 'none':
      return plain;
    case 'signature':
      return transactions.length === 0 ? plain : { ...plain, fault: 'signature' };
    case 'greedy':
      return { ...plain, fault: 'greedy' };
    case 'spent coin': {
      const key = spent[0];
      const coin = key === undefined ? undefined : state.coins.get(key);
      if (key === undefined || coin === undefined) return plain;
      return {
        ...plain,
        transactions: [...transactions, payment([[key, coin]], [payTo(1, 1n)], number)],
        fault: 'spent coin',
      };
    }
    case 'immature': {
      const young = [...state.coins].find(([, coin]) => !isMature(coin));
      if (young === undefined) return plain;
      return { ...plain, transactions: [...transactions, payment([young], [payTo(1, 1n)], number)], fault: 'immature' };
    }
    case 'script': {
      const entry = coins[0];
      if (entry === undefined) return plain;
      const tx = payment([entry], [{ value: 1n, scriptPubKey: Uint8Array.of(0x51) }], number);
      return { ...plain, transactions: [...transactions, tx], fault: 'script' };
    }
  }
}

function payTo(script: number, value: bigint): TxOutput {
  return { value, scriptPubKey: p2trScript(new Uint8Array(32).fill(script)) };
}

/** Its signatures are not real: whether they hold is for the test to answer, and their first byte says so. */
function payment(
  coins: readonly (readonly [OutPointKey, Coin])[],
  outputs: readonly TxOutput[],
  mark: number,
): Transaction {
  const signature = new Uint8Array(64).fill(mark & 0x7f);
  if (mark === WRONG) signature[0] = WRONG;
  const inputs: TransactionFields['inputs'] = coins.map(([key]) => ({
    prevout: { txid: key.slice(0, 64) as Transaction['txid'], vout: Number(key.slice(65)) },
    scriptSig: new Uint8Array(0),
    sequence: 0xffffffff,
    witness: [signature],
  }));
  return makeTransaction({ version: 2, inputs, outputs, lockTime: 0 });
}

/** Runs a node through a plan: what arrives when, and what is answered when, is read off `choices`. */
class Run {
  readonly node: TestNode;
  readonly planned: readonly PlannedBlock[];
  readonly #byHash = new Map<string, PlannedBlock>();
  readonly #toDeliver: Set<PlannedBlock>;
  /** Blocks in the order in which all bodies up to them were there. */
  readonly linked: PlannedBlock[] = [];
  readonly #stored = new Set<PlannedBlock>();
  #lastTip: HeaderNode;

  constructor(planned: readonly PlannedBlock[], limits: Partial<Limits>) {
    this.planned = planned;
    this.node = new TestNode(limits, baseNode);
    for (const one of planned) this.#byHash.set(one.block.header.hash, one);
    this.#toDeliver = new Set(planned);
    this.#lastTip = this.node.chain.tip;
    this.node.onUpdate = (update) => this.#checkUpdate(update);
  }

  play(choices: readonly number[], crashes: boolean): void {
    for (const choice of choices) this.#act(choice, crashes);
    for (const one of [...this.#toDeliver]) this.#deliver(one);
    this.node.settle();
  }

  #act(choice: number, crashes: boolean): void {
    const { node } = this;
    const rest = choice >>> 4;
    switch (choice & 15) {
      case 0:
      case 1:
      case 2:
      case 3:
      case 4:
      case 5: {
        const ready = [...this.#toDeliver];
        const one = ready[rest % Math.max(1, ready.length)];
        if (one !== undefined) this.#deliver(one);
        break;
      }
      case 6:
      case 7: {
        const tickets = [...node.waiting.keys()];
        const ticket = tickets[rest % Math.max(1, tickets.length)];
        if (ticket !== undefined) node.answer(ticket);
        break;
      }
      case 8:
        if (crashes) this.#crash(rest);
        else node.open();
        break;
      case 9:
        void node.store.flush();
        break;
      default:
        node.step();
    }
  }

  /** Headers come first, as they do in sync: those up to the block, unless one of them is known to be invalid. */
  #deliver(one: PlannedBlock): void {
    const path: PlannedBlock[] = [];
    for (let at: PlannedBlock | undefined = one; at !== undefined; at = at.parent) path.push(at);
    for (const { block } of path.reverse()) {
      const added = this.node.tree.add(block.header, block.header.time);
      if (!added.ok) {
        expect(added.error.reason).toMatch(/^(duplicate|bad-prevblk)$/);
        expect(one.valid).toBe(false);
        this.#toDeliver.delete(one);
        return;
      }
    }
    const { result, isNew } = this.node.accept(one.block);
    this.#toDeliver.delete(one);
    if (one.fault === 'script') {
      expect(result).toMatchObject({ kind: 'subset', reason: FAULTS.script });
      return;
    }
    expect(result?.reason ?? null).toBe(isNew ? null : 'duplicate');
    this.#stored.add(one);
    this.#link(one);
  }

  #link(one: PlannedBlock): void {
    if (!this.#stored.has(one) || this.linked.includes(one)) return;
    if (one.parent !== undefined && !this.linked.includes(one.parent)) return;
    this.linked.push(one);
    // The node links siblings in the order of its list of children, the one that was announced last first.
    const children = [...this.node.tree.children(this.node.node(one.block))];
    for (const { hash } of children) {
      const child = this.#byHash.get(hash);
      if (child !== undefined) this.#link(child);
    }
  }

  #crash(kept: number): void {
    this.node.store.crash(kept % (this.node.store.unflushed + 1));
    this.node.open();
    this.#lastTip = this.node.chain.tip;
    for (const one of this.planned) {
      if (this.node.tree.get(one.block.header.hash)?.place === undefined) this.#toDeliver.add(one);
    }
  }

  /** A commit leads from the last state to the next along the tree, and the store is then in the state of the new tip. */
  #checkUpdate({ disconnected, connected, tip }: ChainUpdate): void {
    let at = this.#lastTip;
    for (const { node } of disconnected) {
      expect(node.hash).toBe(at.hash);
      at = node.parent as HeaderNode;
    }
    for (const { node } of connected) {
      expect(node.parent?.hash).toBe(at.hash);
      at = node;
    }
    expect(at.hash).toBe(tip.hash);
    this.#lastTip = tip;
    expectState(this.node, this.stateOf(tip));
  }

  stateOf(node: HeaderNode): ReplayedState {
    return this.#byHash.get(node.hash)?.state ?? baseState;
  }

  /** The valid block with most work whose ancestors are all there; of several, the one that was complete first. */
  expectedTip(): string {
    let best: PlannedBlock | undefined;
    for (const one of this.linked) if (one.valid && one.height > (best?.height ?? BASE_HEIGHT)) best = one;
    return best?.block.header.hash ?? base.tip.header.hash;
  }

  checkFailures(): void {
    for (const { node, reason } of this.node.failures) {
      const one = this.#byHash.get(node.hash) as PlannedBlock;
      // Its parent may be bad too: it was still being verified, and what a block does wrong it does on any parent.
      expect(reason).toBe(FAULTS[one.fault]);
    }
    for (const one of this.planned) {
      if (one.valid) expect(this.node.tree.get(one.block.header.hash)?.invalid).toBe(false);
    }
  }
}

const plan = fc.record({
  back: fc.oneof({ weight: 3, arbitrary: fc.constant(0) }, { weight: 2, arbitrary: fc.integer({ min: 0, max: 5 }) }),
  fault: fc.oneof(
    { weight: 6, arbitrary: fc.constant<Fault>('none') },
    { weight: 1, arbitrary: fc.constantFrom<Fault>('signature', 'spent coin', 'immature', 'greedy', 'script') },
  ),
  payments: fc.array(fc.nat({ max: 200 }), { maxLength: 3 }),
});
const story = fc.record({
  plans: fc.array(plan, { minLength: 1, maxLength: 20, size: 'max' }),
  choices: fc.array(fc.nat({ max: 0xffff }), { maxLength: 80, size: 'max' }),
  limits: fc.record({
    verifyWindowBlocks: fc.constantFrom(1, 3, 16),
    // The smallest commits every step of a reorg by itself.
    overlayBytes: fc.constantFrom(1, 5000, 64_000_000),
    coinCacheEntries: fc.constantFrom(0, 20, 1000),
    blockCacheBytes: fc.constantFrom(0, 50_000, 1_000_000),
  }),
});

describe('the chain against a replay', () => {
  test('blocks in any order, late answers and restarts end at the best valid block, first complete first', () => {
    fc.assert(
      fc.property(story, ({ plans, choices, limits }) => {
        const run = new Run(build(plans), limits);
        run.play(choices, false);
        expect(run.node.tipHash).toBe(run.expectedTip());
        expectState(run.node, run.stateOf(run.node.chain.tip));
        run.checkFailures();
        expect(run.node.chain.stats).toMatchObject({ windowSteps: 0, windowBytes: 0, verifying: 0 });
        const { tipHash } = run.node;
        run.node.open();
        run.node.settle();
        expect(run.node.tipHash).toBe(tipHash);
        expectState(run.node, run.stateOf(run.node.chain.tip));
      }),
      { seed: 20250101, numRuns: 40 },
    );
  });

  test('a crash loses what was not flushed and nothing else: the state is one of a block, and the best one is reached', () => {
    fc.assert(
      fc.property(story, ({ plans, choices, limits }) => {
        const run = new Run(build(plans), limits);
        run.play(choices, true);
        const { tip } = run.node.chain;
        const best = Math.max(BASE_HEIGHT, ...run.planned.filter(({ valid }) => valid).map(({ height }) => height));
        expect(tip.height).toBe(best);
        expectState(run.node, run.stateOf(tip));
        run.checkFailures();
      }),
      { seed: 20250102, numRuns: 30 },
    );
  });
});
