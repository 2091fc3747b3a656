/** Stratum v1, with a small miner of its own: what it is handed must make blocks that the node accepts. RULES D5. */
import { describe, expect, test } from '@jest/globals';
import { bytesToHex, hexToBytes, sha256d } from '#hash';
import { encodeAddress, outputKey } from '../../../consensus/address.ts';
import { readBlock } from '../../../consensus/block.ts';
import { idFromBytes, idToBytes } from '../../../consensus/brand.ts';
import { decode } from '../../../consensus/codec.ts';
import { merkleRoot } from '../../../consensus/merkle.ts';
import { regtest, vinenet } from '../../../consensus/params.ts';
import { grind } from '../../../node/mining/grind.ts';
import { merkleBranch, Stratum, type StratumEffect, type StratumTemplate } from '../../../node/mining/stratum.ts';
import { testKey } from '../../support/chain-builder.ts';

const address = encodeAddress(outputKey(testKey(5).script), regtest.hrp);
const template: StratumTemplate = {
  version: 0x20000000,
  previousblockhash: regtest.genesis.header.hash,
  transactions: [],
  coinbasevalue: 5_000_000_000,
  mintime: 1_800_000_000,
  curtime: 1_800_000_100,
  bits: '207fffff',
  height: 1,
  default_witness_commitment: `6a24aa21a9ed${'e2'.repeat(32)}`,
};

type Sent = { id: unknown; method?: string; params?: unknown[]; result?: unknown; error?: unknown[] };

class Bench {
  readonly stratum: Stratum;
  now = 0;

  constructor(defaultScript?: Uint8Array) {
    this.stratum = new Stratum({ params: regtest, defaultScript, firstExtra: 0xfffffffe });
    this.stratum.onConnect(1, 0);
    this.stratum.onTemplate(template, 0);
  }

  line(line: string, id = 1): StratumEffect[] {
    return this.stratum.onLine(id, line, this.now);
  }

  call(method: string, params: unknown[], id = 1): Sent[] {
    return sentTo(this.line(JSON.stringify({ id: 7, method, params }), id), id);
  }

  /** Subscribes and authorizes; the extra nonce and the first work. */
  login(id = 1): { extra1: string; work: unknown[]; difficulty: number } {
    const [subscribed] = this.call('mining.subscribe', ['test/1'], id);
    const [authorized, difficulty, work] = this.call('mining.authorize', [`${address}.rig${id}`, 'x'], id);
    expect(authorized).toEqual({ id: 7, result: true, error: null });
    const extra1 = (subscribed as { result: unknown[] }).result[1] as string;
    return { extra1, work: work?.params as unknown[], difficulty: difficulty?.params?.[0] as number };
  }

  submit(work: unknown[], extra2: string, time: string, nonce: number, id = 1): StratumEffect[] {
    const params = [`${address}.rig${id}`, work[0], extra2, time, hex32(nonce)];
    return this.line(JSON.stringify({ id: 4, method: 'mining.submit', params }), id);
  }
}

const hex32 = (value: number) => value.toString(16).padStart(8, '0');

function sentTo(effects: readonly StratumEffect[], id: number): Sent[] {
  return effects.flatMap((one) => (one.type === 'send' && one.to === id ? [JSON.parse(one.line) as Sent] : []));
}

/** The header that a miner makes of what it was told, as minerd does. */
function headerOf(work: unknown[], extra1: string, extra2: string, time: string, nonce: number): Uint8Array {
  const [, prev, before, after, branch, version, bits] = work as [
    string,
    string,
    string,
    string,
    string[],
    string,
    string,
  ];
  let root = sha256d(hexToBytes(before + extra1 + extra2 + after));
  for (const hash of branch) root = sha256d(Uint8Array.of(...root, ...hexToBytes(hash)));
  const words = (text: string) =>
    (text.match(/.{8}/g) as string[]).map((word) => bytesToHex(hexToBytes(word).reverse())).join('');
  return hexToBytes(words(version) + words(prev) + bytesToHex(root) + words(time) + words(bits) + words(hex32(nonce)));
}

/** The first nonce whose header has these leading bits clear in its number, or not. */
function findNonce(work: unknown[], extra1: string, extra2: string, time: string, meets: boolean): number {
  for (let nonce = 0; ; nonce++) {
    if ((sha256d(headerOf(work, extra1, extra2, time, nonce)).at(-1) as number) < 0x80 === meets) return nonce;
  }
}

/** The first nonce whose header has `bits` leading zero bits, and one bit that is set behind them. */
function findShare(work: unknown[], extra1: string, extra2: string, time: string, bits: number): number {
  for (let nonce = 0; ; nonce++) {
    const top = sha256d(headerOf(work, extra1, extra2, time, nonce)).at(-1) as number;
    if (Math.clz32(top) === 24 + bits) return nonce;
  }
}

const TIME = hex32(template.curtime);

test('a share that is a block becomes one, with the coinbase of the address that is mined for', () => {
  const bench = new Bench();
  const { extra1, work, difficulty } = bench.login();
  // No share is harder than a block, and regtest's blocks are worth two hashes.
  expect(difficulty).toBeCloseTo(4.6565e-10, 14);
  const nonce = findNonce(work, extra1, 'aabbccdd', TIME, true);
  const effects = bench.submit(work, 'aabbccdd', TIME, nonce);
  expect(sentTo(effects, 1)).toEqual([{ id: 4, result: true, error: null }]);
  const found = effects.find((one) => one.type === 'block');
  if (found?.type !== 'block') throw new Error('no block');
  const block = decode(hexToBytes(found.hex), readBlock);
  if (!block.ok) throw new Error(block.error);
  const { header, transactions } = block.value;
  expect(header.hash).toBe(found.hash);
  expect(merkleRoot(transactions.map(({ txid }) => txid)).root).toBe(header.merkleRoot);
  expect(transactions[0]?.outputs).toEqual([
    { value: 5_000_000_000n, scriptPubKey: testKey(5).script },
    { value: 0n, scriptPubKey: hexToBytes(template.default_witness_commitment) },
  ]);
  expect(bytesToHex(transactions[0]?.inputs[0]?.scriptSig as Uint8Array)).toBe(`5108${extra1}aabbccdd`);
  expect(bench.stratum.counts()).toMatchObject([{ worker: `${address}.rig1`, accepted: 1, rejected: 0, blocks: 1 }]);
});

test('two connections never get the same coinbase, also when the numbers begin anew', () => {
  const bench = new Bench();
  bench.stratum.onConnect(2, 0);
  const [a, b] = [bench.login(1), bench.login(2)];
  expect([a.extra1, b.extra1]).toEqual(['ffffffff', '00000000']);
});

describe('a share is refused', () => {
  const refusal = (effects: StratumEffect[]) => sentTo(effects, 1).map(({ error }) => error?.slice(0, 2));

  test('that came before, in whatever case its digits are', () => {
    const bench = new Bench();
    const { extra1, work } = bench.login();
    const nonce = findNonce(work, extra1, 'aabbccdd', TIME, true);
    bench.submit(work, 'aabbccdd', TIME, nonce);
    expect(refusal(bench.submit(work, 'AABBCCDD', TIME, nonce))).toEqual([[22, 'duplicate share']]);
    expect(bench.stratum.counts()).toMatchObject([{ accepted: 1, rejected: 1 }]);
  });

  test('that meets no target', () => {
    const bench = new Bench();
    const { extra1, work } = bench.login();
    const nonce = findNonce(work, extra1, '00000000', TIME, false);
    expect(refusal(bench.submit(work, '00000000', TIME, nonce))).toEqual([[23, 'low difficulty share']]);
  });

  test('for work on another tip, and for work of nobody', () => {
    const bench = new Bench();
    const { work } = bench.login();
    const next = { ...template, previousblockhash: 'ab'.repeat(32) as StratumTemplate['previousblockhash'], height: 2 };
    const [, notify] = sentTo(bench.stratum.onTemplate(next, 10), 1);
    expect(notify?.params?.[8]).toBe(true);
    expect(refusal(bench.submit(work, '00000000', TIME, 1))).toEqual([[21, 'job not found: it is stale']]);
    expect(refusal(bench.submit(['zz'], '00000000', TIME, 1))).toEqual([[21, 'job not found: it is stale']]);
  });

  test('whose parts are wrong', () => {
    const bench = new Bench();
    const { work } = bench.login();
    expect(refusal(bench.submit(work, '00', TIME, 1))).toEqual([[20, 'extranonce2 must be 8 hex digits']]);
    expect(refusal(bench.submit(work, '00000000', 'time', 1))).toEqual([[20, 'ntime and nonce must be 8 hex digits']]);
    expect(refusal(bench.submit(work, '00000000', hex32(template.mintime - 1), 1))).toEqual([
      [20, 'ntime out of range'],
    ]);
    expect(refusal(bench.submit(work, '00000000', hex32(template.curtime + 61), 1))).toEqual([
      [20, 'ntime out of range'],
    ]);
  });

  test('of a worker who never authorized, or never subscribed', () => {
    const bench = new Bench();
    expect(bench.call('mining.submit', ['x', '1', '00000000', TIME, '00000000'])[0]?.error?.[0]).toBe(25);
    bench.call('mining.subscribe', []);
    expect(bench.call('mining.submit', ['x', '1', '00000000', TIME, '00000000'])[0]?.error?.[0]).toBe(24);
  });
});

test('a name that is no address is refused, unless the node says whom to pay', () => {
  expect(new Bench().call('mining.authorize', ['bob', 'x'])[0]?.error).toEqual([
    24,
    "the worker's name must be an address, bcrt1p…: blocks are paid to it",
    null,
  ]);
  expect(new Bench(testKey(6).script).call('mining.authorize', ['bob', 'x'])[0]?.result).toBe(true);
});

test('work of the same tip is told without ending what is in hand', () => {
  const bench = new Bench();
  const { extra1, work } = bench.login();
  const [, notify] = sentTo(bench.stratum.onTemplate({ ...template, curtime: template.curtime + 30 }, 30_000), 1);
  expect(notify?.params?.[8]).toBe(false);
  const nonce = findNonce(work, extra1, '00000000', TIME, true);
  expect(sentTo(bench.submit(work, '00000000', TIME, nonce), 1)[0]?.result).toBe(true);
});

test('difficulty follows the shares: a worker that sends many is given harder ones, one that sends none easier ones', () => {
  const hard = { ...template, bits: '1d00ffff' };
  const bench = new Bench();
  bench.stratum.onTemplate({ ...hard, previousblockhash: vinenet.genesis.header.hash }, 0);
  const { extra1, work, difficulty } = bench.login();
  expect(difficulty).toBe(2 ** -12);
  // Shares of a million hashes are too dear for a test: time passes without any.
  const later = sentTo(
    bench.stratum.onTemplate({ ...hard, previousblockhash: vinenet.genesis.header.hash }, 40_000),
    1,
  );
  expect(later[0]).toMatchObject({ method: 'mining.set_difficulty', params: [2 ** -14] });
  expect([extra1, work.length]).toEqual(['ffffffff', 9]);
});

test('a share of the difficulty before still counts while the harder work is on its way', () => {
  const bench = new Bench();
  const tip = 'cd'.repeat(32) as StratumTemplate['previousblockhash'];
  const hard = { ...template, bits: '1d00ffff', previousblockhash: tip };
  bench.stratum.onTemplate(hard, 0);
  bench.login();
  // Easy enough for a test: a share is worth a handful of hashes.
  let at = 0;
  let difficulty = 2 ** -12;
  let work: unknown[] = [];
  while (difficulty > 2 ** -30) {
    at += 30_000;
    const [easier, notify] = sentTo(bench.stratum.onTemplate(hard, at), 1);
    difficulty = easier?.params?.[0] as number;
    work = notify?.params as unknown[];
  }
  bench.now = at + 1000;
  const shares: StratumEffect[][] = [];
  for (let i = 0; i < 13; i++) {
    const extra2 = hex32(i);
    const nonce = findShare(work, 'ffffffff', extra2, TIME, 3);
    shares.push(bench.submit(work, extra2, TIME, nonce));
  }
  // The twelfth brings harder work; the thirteenth was found before that came.
  expect(sentTo(shares[11] as StratumEffect[], 1)[1]).toMatchObject({
    method: 'mining.set_difficulty',
    params: [4 * difficulty],
  });
  expect(shares.map((effects) => sentTo(effects, 1)[0]?.result)).toEqual(Array(13).fill(true));
});

describe('what a miner must not send', () => {
  test('lines that are no calls are answered, and after ten of them the connection ends', () => {
    for (const wrong of [
      '{',
      '[]',
      '{"id":1}',
      '{"method":3,"params":[]}',
      '{"method":"a","params":{}}',
      '{"id":{},"method":"a"}',
    ]) {
      const bench = new Bench();
      const answers = Array.from({ length: 10 }, () => bench.line(wrong)[0]);
      expect(answers.slice(0, 9).every((one) => one?.type === 'send' && one.line.includes('"error":[20'))).toBe(true);
      expect(answers[9]).toEqual({ type: 'close', to: 1, reason: 'lines that are no calls' });
    }
  });

  test('unknown methods', () => {
    const bench = new Bench();
    expect(bench.call('mining.rob', [])[0]?.error).toEqual([20, 'unknown method mining.rob', null]);
    for (let i = 0; i < 8; i++) bench.call('x', []);
    expect(bench.line('{"id":1,"method":"x","params":[]}')).toEqual([
      { type: 'close', to: 1, reason: 'unknown methods' },
    ]);
  });

  test('a flood: 200 lines at once are read, then a hundred a second', () => {
    const bench = new Bench();
    const subscribe = '{"id":1,"method":"mining.extranonce.subscribe","params":[]}';
    for (let i = 0; i < 200; i++) expect(bench.line(subscribe)[0]?.type).toBe('send');
    expect(bench.line(subscribe)).toEqual([{ type: 'close', to: 1, reason: 'too many lines' }]);
    bench.now = 300;
    // Empty lines count as well.
    for (let i = 0; i < 29; i++) expect(bench.line(' ')).toEqual([]);
    expect(bench.line('')).toEqual([{ type: 'close', to: 1, reason: 'too many lines' }]);
    bench.now = 800;
    for (let i = 0; i < 49; i++) expect(bench.line(subscribe)[0]?.type).toBe('send');
  });

  test('more workers than a connection may have', () => {
    const bench = new Bench();
    for (let i = 0; i < 16; i++) bench.call('mining.authorize', [`${address}.${i}`]);
    expect(bench.call('mining.authorize', [`${address}.16`])[0]?.error?.[1]).toBe(
      'too many workers on this connection',
    );
    expect(bench.call('mining.authorize', [''])[0]?.error?.[1]).toMatch(/^the worker's name must have 1 to 128/);
  });
});

describe('a connection that is no use', () => {
  test('ends after a hundred worthless shares in a row; one that is taken, and stale ones, change that', () => {
    const bench = new Bench();
    const { extra1, work } = bench.login();
    const bad = findNonce(work, extra1, '00000000', TIME, false);
    const good = findNonce(work, extra1, '00000000', TIME, true);
    const send = (count: number, job: unknown[], nonce: number) =>
      Array.from({ length: count }, () => {
        bench.now += 100;
        return bench.submit(job, '00000000', TIME, nonce)[0];
      });
    expect(send(99, work, bad).every((effect) => effect?.type === 'send')).toBe(true);
    expect(send(200, ['zz'], bad).every((effect) => effect?.type === 'send')).toBe(true);
    expect(send(1, work, good)[0]).toMatchObject({ line: expect.stringContaining('"result":true') });
    expect(send(99, work, bad).every((effect) => effect?.type === 'send')).toBe(true);
    // A share that came before is worth as little.
    expect(send(1, work, good)[0]).toEqual({ type: 'close', to: 1, reason: 'shares that are worth nothing' });
  });

  test('gives way after a minute: the one that mines least, and none that mines', () => {
    const bench = new Bench();
    const hard = { ...template, bits: '1d00ffff', previousblockhash: 'cd'.repeat(32) as never };
    bench.stratum.onTemplate(hard, 0);
    bench.stratum.onConnect(2, 1000);
    const { extra1 } = bench.login(1);
    bench.login(2);
    expect(bench.stratum.leastUseful(59_999)).toBeUndefined();
    expect(bench.stratum.leastUseful(60_000)).toBe(1);
    // A share is for 2^16 hashes by now: so many in a minute are a thousand a second.
    bench.stratum.onTemplate(hard, 30_000);
    const [easier, notify] = sentTo(bench.stratum.onTemplate(hard, 60_000), 1);
    expect(easier?.params).toEqual([2 ** -16]);
    const work = notify?.params as unknown[];
    const { nonce } = grind(headerOf(work, extra1, '00000000', TIME, 0), 0x1f00ffff, 0, 2 ** 22);
    bench.now = 60_000;
    expect(sentTo(bench.submit(work, '00000000', TIME, nonce ?? 0), 1)[0]?.result).toBe(true);
    expect(bench.stratum.leastUseful(60_999)).toBeUndefined();
    expect(bench.stratum.leastUseful(61_000)).toBe(2);
    bench.stratum.onClose(2);
    expect(bench.stratum.leastUseful(61_000)).toBeUndefined();
    expect(bench.stratum.leastUseful(70_000)).toBe(1);
  });
});

test('who authorizes again is not given its work again', () => {
  const bench = new Bench();
  bench.login();
  expect(bench.call('mining.authorize', [`${address}.rig1`])).toEqual([{ id: 7, result: true, error: null }]);
  expect(bench.call('mining.authorize', [`${address}.rig2`])).toEqual([{ id: 7, result: true, error: null }]);
});

test('extensions are answered by name: there are none', () => {
  const asked = [['version-rolling', 'minimum-difficulty', 3], { 'version-rolling.mask': '1fffe000' }];
  const result = { 'version-rolling': false, 'minimum-difficulty': false };
  expect(new Bench().call('mining.configure', asked)[0]?.result).toEqual(result);
  expect(new Bench().call('mining.configure', [])[0]?.result).toEqual({});
});

test('a block counts, however many shares there are of its job', () => {
  const bench = new Bench();
  const { extra1, work } = bench.login();
  // Twenty thousand that are remembered, and one more.
  const nonces = Array.from({ length: 20_001 }, (_, i) => i);
  let last: StratumEffect[] = [];
  for (const i of nonces) {
    const extra2 = hex32(i);
    bench.now += 100;
    last = bench.submit(work, extra2, TIME, findNonce(work, extra1, extra2, TIME, true));
  }
  expect(last.map(({ type }) => type)).toContain('block');
});

test('the branch leads from the coinbase to the root, for any number of transactions', () => {
  const ids = Array.from({ length: 40 }, (_, i) => sha256d(Uint8Array.of(i)));
  for (let count = 1; count <= ids.length; count++) {
    const [coinbase, ...others] = ids.slice(0, count) as [Uint8Array, ...Uint8Array[]];
    let root = coinbase;
    for (const hash of merkleBranch(others)) root = sha256d(Uint8Array.of(...root, ...hash));
    expect(idFromBytes(root)).toBe(merkleRoot(ids.slice(0, count).map((id) => idFromBytes(id))).root);
    expect(idToBytes(idFromBytes<never>(root))).toEqual(root);
  }
});
