/**
 * Targets: what users and their programs send, and what a node that cannot be trusted answers to a miner. PSBTs,
 * descriptors, bodies of JSON-RPC, calls of all methods, lines of Stratum, block templates.
 */
import { isDeepStrictEqual } from 'node:util';
import fc from 'fast-check';
import { bytesToHex } from '#hash';
import { encodeAddress, scriptHash } from '../../consensus/address.ts';
import { type Block, encodeBlock, encodeHeader } from '../../consensus/block.ts';
import { regtest } from '../../consensus/params.ts';
import { encodeTransaction, makeTransaction, type Transaction } from '../../consensus/transaction.ts';
import { Network } from '../../devnet/sim/network.ts';
import type { RequestId, RpcOutcome, RpcParams } from '../../node/boundary.ts';
import { Stratum, type StratumEffect, type StratumTemplate } from '../../node/mining/stratum.ts';
import { TemplateMiner } from '../../node/mining/template-miner.ts';
import { readWorkTemplate, Work, type WorkTemplate } from '../../node/mining/work.ts';
import {
  expandDescriptor,
  formatDescriptor,
  isRanged,
  parseDescriptor,
  withChecksum,
} from '../../node/rpc/descriptor.ts';
import { callsOf, formatReply, parseBody } from '../../node/rpc/envelope.ts';
import { methods } from '../../node/rpc/methods.ts';
import { analyzePsbt, finalizePsbt, joinPsbts, updatePsbt } from '../../node/rpc/psbt.ts';
import { decodePsbt, encodePsbt, mergePsbts } from '../../node/rpc/psbt-format.ts';
import { psbtVectors, signedPsbt, tpub } from '../node/rpc/psbt-calls.ts';
import { outputOf, pay, spend, testKey } from '../support/chain-builder.ts';
import { templateAnswer } from '../support/work-template.ts';
import { type Json, spoilt, spoiltJson, spoiltText, trap } from './edits.ts';
import { material } from './material.ts';
import { demand, type Target, target } from './target.ts';

const address = encodeAddress(testKey(5).publicKey, regtest.hrp);
const base64 = (hex: string) => Buffer.from(hex, 'hex').toString('base64');

// PSBTs and descriptors

let psbts: readonly string[] | undefined;
function somePsbts(): readonly string[] {
  if (psbts === undefined) {
    const [first] = material().transactions;
    if (first === undefined) throw new Error('no transaction');
    const child = spend([outputOf(first, 0, testKey(1))], [pay(testKey(2), 1000n)]);
    psbts = [...psbtVectors.valid, ...psbtVectors.invalid, encodePsbt(signedPsbt(child, first.outputs))];
  }
  return psbts;
}

const psbtText = fc.nat(1000).map((n) => {
  const list = somePsbts();
  return list[n % list.length] as string;
});

const psbt = target<readonly string[]>({
  name: 'psbt',
  about: 'PSBTs, and all that is done with them',
  runs: 100,
  deadlineMs: 2000,
  cases: fc.array(
    fc.oneof(
      {
        weight: 6,
        arbitrary: spoilt(psbtText.map((text) => Uint8Array.from(Buffer.from(text, 'base64')))).map(base64),
      },
      { weight: 1, arbitrary: spoiltText(psbtText) },
    ),
    { minLength: 1, maxLength: 2 },
  ),
  check: (texts) => {
    const read = texts.flatMap((text) => {
      const result = decodePsbt(text);
      if (!result.ok) demand(result.error.length > 0, 'it is refused without a reason');
      return result.ok ? [result.value] : [];
    });
    for (const one of read) {
      const written = encodePsbt(one);
      const again = decodePsbt(written);
      demand(again.ok, 'what was read and written cannot be read again');
      demand(encodePsbt(again.value) === written, 'it is written otherwise the second time');
      analyzePsbt(one);
      finalizePsbt(one);
      updatePsbt(one, { transaction: () => undefined, coin: () => undefined }, []);
      makeTransaction(mergePsbts(one, again.value).tx);
    }
    joinPsbts(read);
  },
});

const descriptors = [
  `tr(${tpub}/0/*)`,
  `tr([deadbeef/86h/1h/0h]${tpub}/<0;1>/*)`,
  `rawtr(${bytesToHex(testKey(1).publicKey)})`,
  `tr([00000000/1'/2]${bytesToHex(testKey(1).publicKey)})`,
  `addr(${address})`,
  'raw(51)',
  `tr(${tpub}/2147483647/1h/*h)`,
  `wpkh(${tpub})`,
];

const descriptor = target<string>({
  name: 'descriptor',
  about: 'output descriptors',
  runs: 100,
  deadlineMs: 2000,
  cases: spoiltText(
    fc
      .tuple(fc.constantFrom(...descriptors), fc.boolean())
      .map(([text, summed]) => (summed ? withChecksum(text) : text)),
  ),
  check: (text) => {
    const read = parseDescriptor(text, regtest);
    if (!read.ok) {
      demand(read.error.length > 0, 'it is refused without a reason');
      return;
    }
    const canonical = formatDescriptor(read.value);
    const again = parseDescriptor(withChecksum(canonical), regtest, { requireChecksum: true });
    demand(again.ok, 'what was read and written cannot be read again');
    demand(formatDescriptor(again.value) === canonical, 'it is written otherwise the second time');
    const scripts = expandDescriptor(read.value, [0, 2]);
    if (!scripts.ok) return;
    demand(scripts.value.length === (isRanged(read.value) ? 3 : 1), 'it stands for another number of scripts');
    demand(isDeepStrictEqual(expandDescriptor(again.value, [0, 2]), scripts), 'it stands for other scripts');
  },
});

// JSON-RPC

const names = [...methods.keys()];

/** The parameters of a method, as its usage line shows them: `"blockhash"`, `nblocks`, `["psbt",...]`. */
function parametersOf(method: string): string[] {
  const words = (methods.get(method)?.usage ?? '').split(' ').slice(1);
  return words.filter((word) => word !== '(' && word !== ')');
}

/** What a parameter that is shown in that way means, and values that mean it, of which number `n` is taken. */
const meanings: readonly (readonly [shown: RegExp, values: (n: number) => readonly Json[]])[] = [
  [
    /"vout"/,
    (n) => {
      const input = { txid: material().chain.coinbase(1 + (n % 9)).txid, vout: n % 2 };
      return [[input], [input, { ...input, sequence: n, vout: 1 }], [{ ...input, txid: nthTransaction(n).txid }]];
    },
  ],
  [/amount/, (n) => [{ [address]: n / 1000 }, [{ [address]: '0.5' }, { data: 'c0ffee' }], { data: '' }]],
  [/"rawtx/, (n) => [[rawTransaction(n)], [rawTransaction(n), rawTransaction(n + 1)], [nthTransaction(n).txid], []]],
  [/"desc"/, (n) => [[nthDescriptor(n)], [{ desc: nthDescriptor(n), range: [n % 5, n % 9] }], []]],
  [/\["psbt/, (n) => [[nthPsbt(n), nthPsbt(n)], [nthPsbt(n), nthPsbt(n + 1)], [nthPsbt(n)]]],
  [/psbt/, (n) => [nthPsbt(n)]],
  [/hash_or_height/, (n) => [n % 120, knownHash(n)]],
  [/blockhash/, (n) => [knownHash(n), knownHash(n), nthBlock(n).header.hash]],
  [/txid/, (n) => [nthTransaction(n).txid, material().chain.coinbase(9).txid, coinbaseSpender()]],
  [/scripthash/, (n) => [scriptHash(testKey(n % 3).script), [scriptHash(testKey(0).script)], []]],
  [/hexstring/, (n) => [rawTransaction(n), rawTransaction(n), bytesToHex(testKey(n % 4).script)]],
  [/hexdata/, (n) => [bytesToHex(encodeBlock(nthBlock(n))), bytesToHex(encodeHeader(nthBlock(n).header))]],
  [/descriptor/, (n) => [nthDescriptor(n), withChecksum(`addr(${address})`)]],
  [/address"|output/, () => [address, address, '127.0.0.1:20001']],
  [/"node"/, () => ['127.0.0.1:20001', 'ws://127.0.0.1:20000/', 'wss://example.com/x']],
  [/command/, (n) => ['add', 'remove', 'onetry', names[n % names.length] ?? '']],
  [/action/, () => ['start', 'status', 'abort']],
  [/links/, (n) => [{ links: [{ name: 'b', delay: n, jitter: n % 10, bandwidth: n + 1 }] }, { links: [] }]],
  [
    /names/,
    () => [
      { names: ['b'], endpoints: [] },
      { names: [], endpoints: ['127.0.0.1:20001'] },
    ],
  ],
  [
    /rules/,
    (n) => [
      { rules: ['segwit'] },
      { rules: ['segwit'], mode: 'proposal', data: bytesToHex(encodeBlock(nthBlock(n))) },
      { rules: ['segwit'], longpollid: `${knownHash(n)}${n}` },
    ],
  ],
  [/subnet|network"/, () => ['10.0.0.0/8', '127.0.0.1', '2001:db8::/32', 'ipv4']],
  [/"/, () => ['', 'none', 'basic', 'height', 'add', 'economical', 'stats']],
  [/./, (n) => [n % 4, n % 120, 0, 1, true, false, 0.0001 * n, -1]],
];

function nthBlock(n: number): Block {
  const { blocks } = material();
  return blocks[n % blocks.length] as Block;
}

function nthTransaction(n: number): Transaction {
  const { transactions, lastPayment } = material();
  return transactions[n % (transactions.length + 1)] ?? lastPayment;
}

const rawTransaction = (n: number) => bytesToHex(encodeTransaction(nthTransaction(n)));
const nthDescriptor = (n: number) => descriptors[n % descriptors.length] ?? '';
const nthPsbt = (n: number) => somePsbts()[n % somePsbts().length] ?? '';

function knownHash(n: number): string {
  const { chain } = material();
  return chain.blockAt(n % (chain.height + 1)).header.hash;
}

/** Of the one payment that is in the pool at the start. */
function coinbaseSpender(): string {
  return spend([material().chain.coinbase(9)], [pay(testKey(2), 4_999_000_000n)]).txid;
}

function meant(shown: string, n: number): Json {
  const values = meanings.find(([pattern]) => pattern.test(shown))?.[1](n) ?? [];
  return values[n % Math.max(1, values.length)] ?? null;
}

interface Call {
  readonly method: string;
  readonly params: RpcParams;
}

/** A parameter as it is meant, or a value that may be meant by another one, or a trap. */
const argument = (shown: string): fc.Arbitrary<Json> => {
  const right = fc.nat(10_000).map((n) => meant(shown, n));
  const other = fc.tuple(fc.constantFrom(...names), fc.nat(10_000)).map(([method, n]) => {
    const parameters = parametersOf(method);
    return meant(parameters[n % Math.max(1, parameters.length)] ?? '', n);
  });
  return fc.oneof(
    { weight: 12, arbitrary: right },
    { weight: 1, arbitrary: other },
    { weight: 1, arbitrary: trap },
    { weight: 2, arbitrary: spoiltJson(right) },
  );
};

const call: fc.Arbitrary<Call> = fc.constantFrom(...names).chain((method) => {
  const parameters = parametersOf(method);
  return fc
    .tuple(fc.tuple(...parameters.map(argument)), fc.nat(4), fc.nat(5), argument(''))
    .map(([values, dropped, named, extra]): Call => {
      const given: Json[] = values.slice(0, Math.max(0, values.length - Math.floor(dropped / 2)));
      if (named === 1) given.push(extra);
      if (named > 0) return { method, params: given };
      const key = (i: number) => /[a-z_0-9]+/i.exec(parameters[i] ?? '')?.[0] ?? `other${i}`;
      return { method, params: Object.fromEntries(given.map((value, i) => [key(i), value])) };
    });
});

const rpc = target<readonly Call[]>({
  name: 'rpc',
  about: 'calls of all methods, with parameters that may mean something',
  runs: 40,
  deadlineMs: 10_000,
  cases: fc.array(call, { minLength: 1, maxLength: 12 }),
  check: (calls) => {
    const { startUnix, stored } = material();
    const network = new Network({ params: regtest, seed: 1, startUnix });
    const node = network.add('a', {}, stored());
    network.add('b', { peers: ['a'] }, stored());
    network.run(500);
    for (const { method, params } of calls) {
      const request = node.nextRequest as RequestId;
      let outcome: RpcOutcome | undefined;
      void network.call(node, method, params);
      const resolve = node.replies.get(request);
      if (resolve !== undefined) {
        node.replies.set(request, (value) => {
          outcome = value;
          resolve(value);
        });
      }
      network.run(100);
      if (outcome === undefined) node.core?.handle({ type: 'request-closed', request }, network.now);
      else if (outcome.ok) JSON.parse(outcome.json);
      else demand(outcome.message.length > 0 && Number.isInteger(outcome.code), 'an error without code or message');
    }
    const damaged = node.notices.find(({ kind }) => kind === 'damaged');
    demand(damaged === undefined, 'a call made the node believe that its store is damaged');
  },
});

const request: fc.Arbitrary<Json> = fc
  .record({ jsonrpc: fc.constantFrom('1.0', '2.0'), id: fc.oneof(fc.nat(5), fc.string()), call })
  .map(({ jsonrpc, id, call }) => ({ jsonrpc, id, ...call }) as Json);

const body = target<string>({
  name: 'body',
  about: 'bodies of JSON-RPC requests',
  runs: 200,
  deadlineMs: 500,
  cases: fc.oneof(
    spoiltJson(fc.oneof(request, fc.array(request, { maxLength: 3 }) as fc.Arbitrary<Json>)).map((value) =>
      JSON.stringify(value),
    ),
    spoiltText(request.map((value) => JSON.stringify(value))),
  ),
  check: (text) => {
    const read = parseBody(text);
    const outcomes = callsOf(read).map((): RpcOutcome => ({ ok: true, json: '1' }));
    const reply = formatReply(read, outcomes);
    demand([200, 204, 400, 404, 500].includes(reply.status), `status ${reply.status}`);
    if (reply.body === null) return;
    const parsed: unknown = JSON.parse(reply.body);
    demand(Array.isArray(parsed) === read.batch, 'a batch is answered by an array, and nothing else is');
  },
});

// Miners

type StratumStep =
  | { readonly line: string }
  | { readonly ms: number }
  | { readonly template: number }
  | { readonly connect: number };

const stratumLine = fc
  .record({
    id: fc.oneof(fc.nat(3), fc.constantFrom<Json>(null, 'x')),
    method: fc.constantFrom(
      'mining.subscribe',
      'mining.authorize',
      'mining.submit',
      'mining.submit',
      'mining.configure',
      'x',
    ),
    params: fc.oneof(
      fc.constant<Json>([address, 'x']),
      fc.constant<Json>([`${address}.rig`, 'x']),
      fc
        .tuple(fc.constantFrom('1', '2', '3'), fc.nat(3), fc.nat(20))
        .map(
          ([job, extra, nonce]): Json => [
            address,
            job,
            extra.toString(16).padStart(8, '0'),
            (1_800_000_000).toString(16),
            nonce.toString(16).padStart(8, '0'),
          ],
        ),
    ),
  })
  .map((value): Json => value as Json);

const stratum = target<readonly StratumStep[]>({
  name: 'stratum',
  about: 'lines of Stratum',
  runs: 100,
  deadlineMs: 1000,
  cases: fc.array(
    fc.oneof(
      { weight: 6, arbitrary: stratumLine.map((value) => ({ line: JSON.stringify(value) })) },
      { weight: 3, arbitrary: spoiltJson(stratumLine).map((value) => ({ line: JSON.stringify(value) })) },
      { weight: 1, arbitrary: spoiltText(stratumLine.map((value) => JSON.stringify(value))).map((line) => ({ line })) },
      { weight: 1, arbitrary: fc.record({ ms: fc.constantFrom(1, 1000, 40_000) }) },
      { weight: 1, arbitrary: fc.record({ template: fc.nat(3) }) },
      { weight: 1, arbitrary: fc.record({ connect: fc.nat(2) }) },
    ),
    { maxLength: 30, size: 'max' },
  ),
  check: (steps) => {
    const machine = new Stratum({ params: regtest, defaultScript: undefined, firstExtra: 0xffffffff });
    let now = 0;
    let at = 0;
    let workers = 0;
    const look = (effects: readonly StratumEffect[]) => {
      demand(effects.length <= 8, `${effects.length} answers to one line`);
      for (const effect of effects) if (effect.type === 'send') JSON.parse(effect.line);
      if (effects.some(({ type }) => type === 'close')) machine.onClose(at);
    };
    machine.onConnect(at, now);
    for (const step of steps) {
      if ('line' in step) look(machine.onLine(at, step.line, now));
      else if ('ms' in step) now += step.ms;
      else if ('connect' in step) {
        at = step.connect;
        machine.onConnect(at, now);
      } else look(machine.onTemplate(stratumTemplate(step.template), now));
      workers = Math.max(workers, machine.counts().length);
    }
    demand(workers <= 3 * 16, `${workers} workers on three connections`);
  },
});

function stratumTemplate(number: number): StratumTemplate {
  const { chain, transactions } = material();
  const [tx] = transactions;
  if (tx === undefined) throw new Error('no transaction');
  return {
    version: 0x20000000,
    previousblockhash: chain.blockAt(number % 2).header.hash,
    transactions: number < 2 ? [] : [{ data: bytesToHex(encodeTransaction(tx)), txid: tx.txid }],
    coinbasevalue: 5_000_000_000,
    mintime: 1_800_000_000,
    curtime: 1_800_000_100,
    bits: '207fffff',
    height: 1,
    default_witness_commitment: `6a24aa21a9ed${'e2'.repeat(32)}`,
  };
}

const template = target<readonly Json[]>({
  name: 'template',
  about: 'block templates of a node that cannot be trusted, given to a miner',
  runs: 200,
  deadlineMs: 500,
  cases: fc.array(spoiltJson(fc.nat(3).map((n) => templateAnswer(material().transactions.slice(0, n)) as Json)), {
    minLength: 1,
    maxLength: 4,
  }),
  check: (answers) => {
    const minerId = Uint8Array.of(1, 2, 3, 4);
    const { script } = testKey(5);
    const options = { script, minerId, maxFutureSeconds: 7200 };
    const miner = new TemplateMiner({ ...options, count: 5, pace: { kind: 'at-once' }, expectedRate: 1e6 }, 0);
    let now = 0;
    let steps = miner.tick(now);
    for (const answer of answers) {
      const read = readWorkTemplate(answer);
      const asked = steps.find((step) => step.type === 'ask-template');
      now += 11_000;
      if (!read.ok) {
        demand(read.error.length > 0, 'it is refused without a reason');
        if (asked !== undefined) steps = miner.onFailure(asked.id, 'gone', 'x', read.error, now);
        now += 1000;
        steps = [...steps, ...miner.tick(now)];
        continue;
      }
      checkWork(read.value, options);
      if (asked !== undefined) steps = miner.onTemplate(asked.id, read.value, now);
      const search = steps.find((step) => step.type === 'search');
      if (search?.type === 'search') {
        const { version } = search.work.template;
        const found = miner.onFound(
          search.work,
          { extraNonce: 1, time: search.work.timeAfter(1), version, nonce: 2 },
          now,
        );
        const submit = found.find((step) => step.type === 'submit');
        steps = submit === undefined ? found : miner.onSubmitted(submit.id, null, now);
      }
      steps = [...steps, ...miner.tick(now + 20_000)];
      const wait = miner.expectedMs(now);
      demand(wait === undefined || wait > 0, `a block is expected in ${wait} ms`);
    }
    demand(Number.isFinite(miner.totals.earnedSats), 'what was earned is no number');
  },
});

function checkWork(read: WorkTemplate, options: ConstructorParameters<typeof Work>[1]): void {
  const work = new Work(read, options);
  const time = work.timeAfter(30);
  demand(work.header(0xffffffff, time).length === 80, 'a header has 80 bytes');
  const { hash, hex } = work.block({ extraNonce: 0, time, version: read.version, nonce: 0 });
  demand(/^[0-9a-f]{64}$/.test(hash) && /^([0-9a-f]{2})+$/i.test(hex), 'the block is no hex');
}

export const userTargets: readonly Target[] = [psbt, descriptor, body, rpc, stratum, template];
