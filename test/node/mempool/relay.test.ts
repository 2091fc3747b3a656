/** Transaction relay between us and a few peers. */
import { describe, expect, test } from '@jest/globals';
import { MAX_MONEY } from '../../../consensus/params.ts';
import { reject } from '../../../consensus/reject.ts';
import type { Transaction } from '../../../consensus/transaction.ts';
import type { PeerId } from '../../../node/boundary.ts';
import type { Effect } from '../../../node/effect.ts';
import { internetLimits, type Limits, localLimits } from '../../../node/limits.ts';
import type { Entry } from '../../../node/mempool/entry.ts';
import { type HashKind, type RelayState, TxRelay } from '../../../node/mempool/relay.ts';
import { below } from '../../../node/ports.ts';
import { SeededRandom } from '../../../node/random.ts';
import { INV_BLOCK, INV_TX, INV_WITNESS_TX, INV_WTX, type Inventory } from '../../../node/wire/message.ts';
import { draft, Fixture, output } from './fixture.ts';

const [A, B, C] = [1, 2, 3] as PeerId[] as [PeerId, PeerId, PeerId];

/** A relay on top of a pool, without a node. */
class Bench {
  readonly fixture: Fixture;
  readonly relay: TxRelay;
  readonly limits: Limits;
  now = { mono: 0, unix: 1_700_000_000 };
  verifying = 0;
  initialSync = false;
  minFeeRate = 1000;

  constructor(limits: Partial<Limits> = {}, base: Limits = localLimits) {
    this.limits = { ...base, ...limits };
    this.fixture = new Fixture();
    this.relay = new TxRelay({ limits: this.limits, random: new SeededRandom('relay') });
  }

  peer(peer: PeerId, about: { inbound?: boolean; legacy?: boolean; relay?: boolean } = {}): this {
    const direction = about.inbound === true ? 'inbound' : 'outbound';
    const wtxidRelay = about.legacy !== true;
    this.relay.add(peer, { direction, wtxidRelay, relay: about.relay ?? true }, this.fixture.pool.entries(), this.now);
    return this;
  }

  has = (kind: HashKind, hash: string): boolean => this.fixture.pool.has(kind, hash);

  lookup = (kind: HashKind, hash: string): Entry | undefined =>
    kind === 'txid'
      ? this.fixture.pool.get(hash as Transaction['txid'])
      : this.fixture.pool.getByWtxid(hash as Transaction['wtxid']);

  /** Puts it into the pool and tells the relay. */
  accept(tx: Transaction, from?: PeerId): Entry {
    const result = this.fixture.judge(tx);
    if (result.type !== 'accepted') throw new Error(result.reject.reason);
    this.relay.onAccepted(result.entry, from, this.now);
    return result.entry;
  }

  /** What is sent at that time, fee filters left out: `peer type hash…`. */
  tick(mono = this.now.mono): string[] {
    this.now = { ...this.now, mono };
    return this.tickAll().filter((line) => !line.includes('feefilter'));
  }

  tickAll(): string[] {
    const { verifying, minFeeRate, initialSync, has } = this;
    const state: RelayState = { verifying, minFeeRate, initialSync, has };
    return this.relay.tick(state, this.now).map(describeEffect);
  }

  inv(peer: PeerId, ...hashes: string[]): void {
    const items = hashes.map((hash) => ({ kind: INV_WTX, hash }));
    this.relay.onInv(peer, items, this.has, this.now);
  }

  getdata(peer: PeerId, ...items: Inventory[]): string[] {
    return this.relay.onGetdata(peer, items, (kind, hash) => this.lookup(kind, hash)).map(describeEffect);
  }
}

function describeEffect(effect: Effect): string {
  if (effect.type !== 'message') return effect.type;
  const { peer, message } = effect;
  switch (message.type) {
    case 'inv':
    case 'getdata':
    case 'notfound':
      return `${peer} ${message.type} ${message.items.map(({ kind, hash }) => `${kind}:${hash}`).join(' ')}`;
    case 'tx':
      return `${peer} tx ${message.tx.wtxid}`;
    case 'feefilter':
      return `${peer} feefilter ${message.satPerKvb}`;
    default:
      return `${peer} ${message.type}`;
  }
}

describe('announcements of peers', () => {
  test('are asked for by the hash that the peer uses, once, in their order', () => {
    const bench = new Bench().peer(A).peer(B, { legacy: true });
    bench.inv(A, 'aa', 'bb');
    bench.inv(A, 'aa');
    const items = [
      { kind: INV_TX, hash: 'cc' },
      { kind: INV_WTX, hash: 'dd' },
      { kind: INV_BLOCK, hash: 'ee' },
    ];
    bench.relay.onInv(B, items, bench.has, bench.now);
    expect(bench.tick()).toEqual([`1 getdata ${INV_WTX}:aa ${INV_WTX}:bb`, `2 getdata ${INV_WITNESS_TX}:cc`]);
    expect(bench.tick()).toEqual([]);
  });

  test('are passed over where we have it, refused it or saw it confirmed', () => {
    const bench = new Bench().peer(A);
    const pooled = draft([bench.fixture.coinbase()]);
    const refused = draft([bench.fixture.coinbase(2)]);
    const early = draft([bench.fixture.coinbase(3)]);
    const confirmed = draft([bench.fixture.coinbase(4)]);
    bench.accept(pooled, A);
    bench.relay.onTip([], [bench.fixture.chain.next({ transactions: [confirmed] })]);
    bench.relay.onRejected(refused, reject('policy', 'dust'));
    bench.relay.onRejected(early, reject('premature', 'non-final'));
    bench.inv(A, pooled.wtxid, refused.wtxid, early.wtxid, confirmed.wtxid);
    expect(bench.tick()).toEqual([`1 getdata ${INV_WTX}:${early.wtxid}`]);
    // Another tip: what was refused may be fine now.
    bench.relay.onTip([], []);
    bench.inv(A, refused.wtxid);
    expect(bench.tick()).toEqual([`1 getdata ${INV_WTX}:${refused.wtxid}`]);
  });

  test('of what pays too little alone are passed over until the next tip, but it is not settled', () => {
    const bench = new Bench().peer(A);
    const [parent, child] = [draft([bench.fixture.coinbase(1)]), draft([bench.fixture.coinbase(2)])];
    bench.relay.onRejected(parent, reject('reconsiderable', 'mempool min fee not met'));
    bench.inv(A, parent.wtxid);
    expect(bench.tick()).toEqual([]);
    expect(bench.relay.isSettled(parent.wtxid)).toBe(false);
    expect(bench.relay.isReconsiderable(parent.wtxid)).toBe(true);
    // A pair is tried once.
    expect(bench.relay.isRejectedPair(parent, child)).toBe(false);
    bench.relay.onRejectedPair(parent, child);
    expect(bench.relay.isRejectedPair(parent, child)).toBe(true);
    bench.relay.onTip([], []);
    expect(bench.relay.isReconsiderable(parent.wtxid)).toBe(false);
    expect(bench.relay.isRejectedPair(parent, child)).toBe(false);
  });

  test('by txid are passed over where no witness could help', () => {
    const bench = new Bench();
    const [dusty, dull, orphan] = [1, 2, 3].map((height) => draft([bench.fixture.coinbase(height)])) as [
      Transaction,
      Transaction,
      Transaction,
    ];
    bench.relay.onRejected(dusty, reject('policy', 'dust'));
    bench.relay.onRejected(dull, reject('policy', 'tx-size'));
    bench.relay.onRejectedParent(orphan);
    expect([dusty, dull, orphan].map(({ txid }) => bench.relay.isSettled(txid))).toEqual([true, false, true]);
    expect([dusty, dull, orphan].map(({ wtxid }) => bench.relay.isSettled(wtxid))).toEqual([true, true, true]);
  });

  test('of inbound peers wait, so that an outbound one can be asked', () => {
    const bench = new Bench({}, internetLimits).peer(A, { inbound: true }).peer(B);
    bench.inv(A, 'aa', 'bb');
    expect(bench.tick(1000)).toEqual([]);
    bench.inv(B, 'aa');
    expect(bench.tick(1000)).toEqual([`2 getdata ${INV_WTX}:aa`]);
    expect(bench.tick(2000)).toEqual([`1 getdata ${INV_WTX}:bb`]);
  });

  test('are not asked of another peer while the answer of the first is being verified', () => {
    const bench = new Bench().peer(A).peer(B);
    const tx = draft([bench.fixture.coinbase()]);
    bench.inv(A, tx.wtxid);
    bench.inv(B, tx.wtxid);
    expect(bench.tick()).toHaveLength(1);
    bench.relay.onTx(A, tx);
    bench.relay.onTx(B, tx);
    expect(bench.fixture.pool.submit(tx, bench.fixture, bench.now).type).toBe('verify');
    expect(bench.tick()).toEqual([]);
    expect(bench.relay.nextDeadline()).toBeUndefined();
  });

  test('are asked for only as fast as we can verify', () => {
    const bench = new Bench({ maxVerifyingTx: 3 }).peer(A);
    bench.verifying = 1;
    bench.inv(A, 'aa', 'bb', 'cc');
    expect(bench.tick()).toEqual([`1 getdata ${INV_WTX}:aa ${INV_WTX}:bb`]);
    bench.verifying = 0;
    expect(bench.tick()).toEqual([`1 getdata ${INV_WTX}:cc`]);
  });

  test('are not asked for during initial sync', () => {
    const bench = new Bench().peer(A);
    bench.initialSync = true;
    bench.inv(A, 'aa');
    expect(bench.tick()).toEqual([]);
    expect(bench.relay.nextDeadline()).toBeUndefined();
    bench.initialSync = false;
    expect(bench.tick()).toEqual([`1 getdata ${INV_WTX}:aa`]);
  });

  test('whose transaction the pool was too busy for are asked for again', () => {
    const bench = new Bench().peer(A);
    const tx = draft([bench.fixture.coinbase()]);
    bench.inv(A, tx.wtxid);
    bench.tick();
    bench.relay.onTx(A, tx);
    bench.relay.onBusy(A, tx, bench.now);
    expect(bench.tick()).toEqual([]);
    expect(bench.tick(localLimits.txRequestTimeoutMs)).toEqual([`1 getdata ${INV_WTX}:${tx.wtxid}`]);
  });

  test('fall to the next peer after notfound', () => {
    const bench = new Bench().peer(A).peer(B);
    bench.inv(A, 'aa');
    bench.tick();
    bench.inv(B, 'aa');
    bench.relay.onNotFound(A, [{ kind: INV_WTX, hash: 'aa' }]);
    expect(bench.tick()).toEqual([`2 getdata ${INV_WTX}:aa`]);
  });

  test('of many transactions are split over several messages', () => {
    const bench = new Bench({ maxGetdataTx: 2 }).peer(A);
    bench.inv(A, 'aa', 'bb', 'cc');
    expect(bench.tick()).toEqual([`1 getdata ${INV_WTX}:aa ${INV_WTX}:bb`, `1 getdata ${INV_WTX}:cc`]);
  });

  test('make us ask for the parents of an orphan by txid', () => {
    const bench = new Bench().peer(A);
    bench.relay.requestParents(A, ['aa' as Transaction['txid']], bench.has, bench.now);
    expect(bench.tick()).toEqual([`1 getdata ${INV_WITNESS_TX}:aa`]);
  });
});

describe('our announcements', () => {
  test('go to all but the sender and those that know it, by the hash that they use', () => {
    const bench = new Bench().peer(A).peer(B).peer(C, { legacy: true });
    const tx = draft([bench.fixture.coinbase()]);
    bench.accept(tx, A);
    expect(bench.tick()).toEqual([`2 inv ${INV_WTX}:${tx.wtxid}`, `3 inv ${INV_TX}:${tx.txid}`]);
    const second = draft([output(tx)]);
    bench.inv(B, second.wtxid);
    bench.accept(second, A);
    expect(bench.tick().filter((line) => line.includes(' inv '))).toEqual([`3 inv ${INV_TX}:${second.txid}`]);
  });

  test('name parents before children, then what pays more, and nothing that has left the pool', () => {
    const bench = new Bench().peer(A);
    const { fixture } = bench;
    const parent = draft([fixture.coinbase(1)]);
    const child = draft([output(parent)], { fee: 9000n });
    const rich = draft([fixture.coinbase(2)], { fee: 5000n });
    const gone = draft([fixture.coinbase(3)], { fee: 6000n });
    for (const tx of [parent, child, rich, gone]) bench.accept(tx);
    fixture.mine([gone]);
    const names = [rich, parent, child].map(({ wtxid }) => `${INV_WTX}:${wtxid}`);
    expect(bench.tick()).toEqual([`1 inv ${names.join(' ')}`]);
  });

  test('respect the fee filter', () => {
    const bench = new Bench().peer(A).peer(B);
    bench.relay.onFeeFilter(A, 9010n);
    bench.relay.onFeeFilter(B, 9009n);
    bench.relay.onFeeFilter(B, -1n);
    bench.relay.onFeeFilter(B, MAX_MONEY + 1n);
    expect(bench.relay.feeFilter(B)).toBe(9009n);
    const tx = draft([bench.fixture.coinbase()]);
    bench.accept(tx);
    expect(bench.tick()).toEqual([`2 inv ${INV_WTX}:${tx.wtxid}`]);
  });

  test('do not go to peers that want none', () => {
    const bench = new Bench().peer(A, { relay: false });
    bench.accept(draft([bench.fixture.coinbase()]));
    expect(bench.tick()).toEqual([]);
  });

  test('leave at a time of chance: one for each outbound peer, one for all inbound peers', () => {
    const bench = new Bench({}, internetLimits).peer(A, { inbound: true }).peer(B, { inbound: true }).peer(C);
    bench.tick();
    bench.accept(draft([bench.fixture.coinbase()]), C);
    const deadline = bench.relay.nextDeadline() as number;
    expect(deadline).toBeGreaterThan(0);
    expect(bench.tick(deadline - 1)).toEqual([]);
    expect(bench.tick(deadline)).toHaveLength(2);
  });

  test('of a long queue are the best, first come first among equals, and the queue is looked through once', () => {
    let looks = 0;
    const random = new SeededRandom('queue');
    const entries = Array.from({ length: 4000 }, (_, sequence) => {
      const [fee, count] = [BigInt(1000 + below(random, 500)), 1 + below(random, 3)];
      return {
        tx: { txid: `t${sequence}`, wtxid: `w${sequence}` },
        get fee() {
          looks += 1;
          return fee;
        },
        vsize: 100,
        sequence,
        ancestors: { count },
      } as unknown as Entry;
    });
    const bench = new Bench({ invPerTrickle: 35, maxInvPerTrickle: 35 }).peer(A);
    bench.has = () => true;
    for (const entry of entries) bench.relay.onAccepted(entry, undefined, bench.now);
    const sorted = [...entries].sort(
      (a, b) => a.ancestors.count - b.ancestors.count || Number(b.fee - a.fee) || a.sequence - b.sequence,
    );
    for (const from of [0, 35]) {
      looks = 0;
      const names = sorted.slice(from, from + 35).map(({ tx }) => `${INV_WTX}:${tx.wtxid}`);
      expect(bench.tick()).toEqual([`1 inv ${names.join(' ')}`]);
      expect(looks).toBeLessThan(4 * entries.length);
    }
  });

  test('that nobody wants do not stand in the way of others, and leave the queue', () => {
    const bench = new Bench({ invPerTrickle: 1, maxInvPerTrickle: 1 }).peer(A);
    const known = Array.from({ length: 4 }, (_, i) => draft([bench.fixture.coinbase(i + 1)], { fee: 9000n }));
    const unknown = draft([bench.fixture.coinbase(5)]);
    for (const tx of [...known, unknown]) bench.accept(tx);
    bench.inv(A, ...known.map(({ wtxid }) => wtxid));
    expect(bench.tick()).toEqual([`1 inv ${INV_WTX}:${unknown.wtxid}`]);
    expect(bench.relay.nextDeadline()).toBeGreaterThanOrEqual(localLimits.rebroadcastMs); // No trickle is due.
  });

  test('leave in portions', () => {
    const bench = new Bench({ invPerTrickle: 2, maxInvPerTrickle: 2 }).peer(A);
    for (let height = 1; height <= 5; height++) bench.accept(draft([bench.fixture.coinbase(height)]));
    const sizes = [bench.tick(), bench.tick(), bench.tick(), bench.tick()].map(([line]) => line?.split(' ').length);
    expect(sizes).toEqual([4, 4, 3, undefined]);
  });

  test('tell a new peer of the pool where the limits say so', () => {
    const bench = new Bench({ poolAnnouncedOnConnect: 1 });
    const tx = draft([bench.fixture.coinbase()]);
    bench.accept(tx);
    bench.accept(draft([bench.fixture.coinbase(2)]));
    bench.peer(A);
    expect(bench.tick()).toEqual([`1 inv ${INV_WTX}:${tx.wtxid}`]);
    expect(new Bench({ poolAnnouncedOnConnect: 0 }).peer(A).tick()).toEqual([]);
  });

  test('of our own transactions are repeated to new peers until one asks', () => {
    const bench = new Bench({ poolAnnouncedOnConnect: 0 }).peer(A);
    const tx = draft([bench.fixture.coinbase()]);
    bench.accept(tx);
    expect(bench.tick()).toHaveLength(1);
    bench.peer(B);
    bench.tickAll();
    const deadline = bench.relay.nextDeadline() as number;
    expect(deadline).toBeGreaterThanOrEqual(localLimits.rebroadcastMs);
    expect(bench.tick(deadline)).toEqual([`2 inv ${INV_WTX}:${tx.wtxid}`]);
    expect(bench.getdata(B, { kind: INV_WTX, hash: tx.wtxid })).toEqual([`2 tx ${tx.wtxid}`]);
    bench.peer(C);
    bench.tickAll();
    expect(bench.tick(bench.relay.nextDeadline() as number)).toEqual([]);
    expect(bench.relay.nextDeadline()).toBeUndefined();
  });
});

describe('requests of peers', () => {
  test('are served with what the peer may know of, and else with notfound', () => {
    const bench = new Bench({ poolAnnouncedOnConnect: 0 });
    const old = draft([bench.fixture.coinbase()]);
    bench.accept(old);
    bench.peer(A);
    const told = draft([output(old)]);
    bench.accept(told);
    bench.tick();
    const untold = draft([bench.fixture.coinbase(2)]);
    bench.accept(untold);
    const items = [
      { kind: INV_WITNESS_TX, hash: old.txid },
      { kind: INV_WTX, hash: told.wtxid },
      { kind: INV_WTX, hash: untold.wtxid },
      { kind: INV_WTX, hash: 'aa' },
      { kind: INV_BLOCK, hash: 'bb' },
    ];
    expect(bench.getdata(A, ...items)).toEqual([
      `1 tx ${old.wtxid}`,
      `1 tx ${told.wtxid}`,
      `1 notfound ${INV_WTX}:${untold.wtxid} ${INV_WTX}:aa`,
    ]);
  });

  test('without the witness flag are served without witness', () => {
    const bench = new Bench().peer(A, { legacy: true });
    const tx = draft([bench.fixture.coinbase()]);
    bench.accept(tx);
    bench.tick();
    expect(bench.getdata(A, { kind: INV_TX, hash: tx.txid })).toEqual([`1 tx ${tx.txid}`]);
  });
});

describe('our fee filter', () => {
  test('is told at first, after initial sync at once, and later when the minimum has moved', () => {
    const bench = new Bench();
    bench.initialSync = true;
    bench.peer(A);
    expect(bench.tickAll()).toEqual([`1 feefilter ${MAX_MONEY}`]);
    expect(bench.tickAll()).toEqual([]);
    bench.initialSync = false;
    expect(bench.tickAll()).toEqual(['1 feefilter 1000']);
    expect(bench.relay.nextDeadline()).toBeUndefined();
    bench.minFeeRate = 5000;
    expect(bench.tickAll()).toEqual([]);
    const deadline = bench.relay.nextDeadline() as number;
    expect(deadline).toBeLessThan(localLimits.feeFilterMs / 2);
    bench.now = { ...bench.now, mono: deadline };
    expect(bench.tickAll()).toEqual(['1 feefilter 5000']);
    // Back before it is told: nothing to say.
    bench.minFeeRate = 5001;
    bench.tickAll();
    bench.minFeeRate = 5000;
    bench.tickAll();
    expect(bench.relay.nextDeadline()).toBeUndefined();
  });
});

describe('a peer that has gone', () => {
  test('is neither asked nor told', () => {
    const bench = new Bench().peer(A).peer(B);
    bench.inv(A, 'aa');
    bench.relay.remove(A);
    bench.accept(draft([bench.fixture.coinbase()]));
    bench.inv(A, 'bb');
    bench.relay.onFeeFilter(A, 1n);
    expect(bench.relay.feeFilter(A)).toBe(0n);
    expect(bench.tick().map((line) => line.slice(0, 5))).toEqual(['2 inv']);
    expect(bench.getdata(A, { kind: INV_WTX, hash: 'aa' })).toEqual([]);
  });
});
