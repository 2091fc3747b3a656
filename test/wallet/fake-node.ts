/**
 * A node for tests of commands: an HTTP server with the RPC methods that the wallet calls, over a set of coins in memory.
 * It judges transactions by the rules of consensus/, their signatures included.
 */
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { bytesToHex, hexToBytes, sha256 } from '#hash';
import { scriptHash } from '../../consensus/address.ts';
import { type OutPointKey, outPointKey, type Txid } from '../../consensus/brand.ts';
import { checkInputs, checkSubset, checkTransaction, signatureChecks } from '../../consensus/check-transaction.ts';
import { decode } from '../../consensus/codec.ts';
import type { Coin } from '../../consensus/transaction.ts';
import { prevoutKey, readTransaction, type Transaction, vsizeOf } from '../../consensus/transaction.ts';
import { firstFailure } from '../support/judge.ts';

export const COOKIE = '__cookie__:00112233';

interface StoredCoin extends Coin {
  readonly txid: Txid;
  readonly vout: number;
}

class RpcFailure extends Error {
  readonly code: number;
  constructor(code: number, message: string) {
    super(message);
    this.code = code;
  }
}

export class FakeNode {
  chain = 'regtest';
  height = 200;
  /** Called with each call's method before it is answered. */
  onCall: (method: string) => void = () => undefined;
  /** Refuses the next transactions with this reason. */
  refuse: string | undefined;
  /** What it estimates, in coins per 1000 virtual bytes. */
  estimate: number | undefined;
  readonly calls: string[] = [];
  readonly pool: Transaction[] = [];
  readonly #coins = new Map<OutPointKey, StoredCoin>();
  readonly #confirmed = new Map<Txid, number>();
  readonly #history = new Map<string, Txid[]>();
  readonly #server: Server;
  #serial = 0;

  constructor() {
    this.#server = createServer((incoming, outgoing) => void this.#answer(incoming, outgoing));
  }

  async start(): Promise<this> {
    await new Promise<void>((resolve) => this.#server.listen(0, '127.0.0.1', resolve));
    return this;
  }

  async stop(): Promise<void> {
    this.#server.closeAllConnections();
    await new Promise((resolve) => this.#server.close(resolve));
  }

  get endpoint(): string {
    return `127.0.0.1:${(this.#server.address() as AddressInfo).port}`;
  }

  get tip(): string {
    return bytesToHex(sha256(new TextEncoder().encode(`block ${this.height}`)));
  }

  /** A coin of the chain. */
  pay(script: Uint8Array, value: bigint, options: { height?: number; coinbase?: boolean } = {}): OutPointKey {
    this.#serial += 1;
    const txid = bytesToHex(sha256(new TextEncoder().encode(`coin ${this.#serial}`))) as Txid;
    const height = options.height ?? 1;
    const coin = { txid, vout: 0, value, scriptPubKey: script, height, coinbase: options.coinbase ?? false };
    this.#coins.set(outPointKey(txid, 0), coin);
    this.#touch(script, txid);
    return outPointKey(txid, 0);
  }

  /** An unconfirmed payment of somebody else. */
  payUnconfirmed(script: Uint8Array, value: bigint): void {
    this.#serial += 1;
    const stranger = { txid: bytesToHex(sha256(Uint8Array.of(this.#serial))) as Txid, vout: 0 };
    const inputs = [{ prevout: stranger, scriptSig: new Uint8Array(0), sequence: 0, witness: [new Uint8Array(64)] }];
    const fields = { version: 2, inputs, outputs: [{ value, scriptPubKey: script }], lockTime: 0 };
    const txid = bytesToHex(sha256(Uint8Array.of(1, this.#serial))) as Txid;
    this.pool.push({ ...fields, txid, wtxid: txid as never, size: 162, strippedSize: 94 });
    this.#touch(script, txid);
  }

  /** Somebody else spends a coin, in a block. */
  steal(key: OutPointKey): void {
    this.#coins.delete(key);
  }

  /** Puts the whole pool into a block. */
  mine(): void {
    this.height += 1;
    for (const tx of this.pool.splice(0)) {
      for (const input of tx.inputs) this.#coins.delete(prevoutKey(input));
      for (const [vout, output] of tx.outputs.entries()) {
        const coin = { ...output, txid: tx.txid, vout, height: this.height, coinbase: false };
        this.#coins.set(outPointKey(tx.txid, vout), coin);
      }
      this.#confirmed.set(tx.txid, this.height);
    }
  }

  #touch(script: Uint8Array, txid: Txid): void {
    const hash = scriptHash(script);
    this.#history.set(hash, [...(this.#history.get(hash) ?? []), txid]);
  }

  async #answer(incoming: IncomingMessage, outgoing: ServerResponse): Promise<void> {
    const chunks: Buffer[] = [];
    for await (const chunk of incoming) chunks.push(chunk as Buffer);
    if (incoming.headers.authorization !== `Basic ${Buffer.from(COOKIE).toString('base64')}`) {
      outgoing.writeHead(401).end();
      return;
    }
    const { id, method, params } = JSON.parse(Buffer.concat(chunks).toString()) as {
      id: unknown;
      method: string;
      params: unknown[];
    };
    let reply: { status: number; result: unknown; error: unknown };
    try {
      this.calls.push(method);
      this.onCall(method);
      reply = { status: 200, result: this.#call(method, params), error: null };
    } catch (error) {
      if (!(error instanceof RpcFailure)) throw error;
      reply = { status: 500, result: null, error: { code: error.code, message: error.message } };
    }
    const { status, result, error } = reply;
    outgoing
      .writeHead(status, { 'content-type': 'application/json' })
      .end(`${JSON.stringify({ result, error, id })}\n`);
  }

  #call(method: string, params: unknown[]): unknown {
    switch (method) {
      case 'getblockchaininfo':
        return { chain: this.chain, blocks: this.height, bestblockhash: this.tip };
      case 'getblockcount':
        return this.height;
      case 'estimatesmartfee':
        return this.estimate === undefined
          ? { errors: ['Insufficient data or no feerate found'], blocks: 0 }
          : { feerate: this.estimate, blocks: 6 };
      case 'getmempoolinfo':
        return { mempoolminfee: 0.00001, minrelaytxfee: 0.00001, incrementalrelayfee: 0.00001 };
      case 'getmempoolentry':
        return this.#entry(params[0] as Txid);
      case 'getscriptbalance':
        return (params[0] as string[]).map((hash) => this.#scriptAnswer(hash, this.#balanceOf(hash)));
      case 'getscriptcoins':
        return (params[0] as string[]).map((hash) => this.#scriptAnswer(hash, { coins: this.#coinsOf(hash) }));
      case 'getscripthistory':
        return (params[0] as string[]).map((hash) => this.#scriptAnswer(hash, { transactions: this.#historyOf(hash) }));
      case 'sendrawtransaction':
        return this.#accept(params[0] as string);
      case 'getrawtransaction':
        return this.#lookUp(params[0] as Txid);
      default:
        throw new RpcFailure(-32601, 'Method not found');
    }
  }

  #scriptAnswer(scripthash: string, rest: object): object {
    return { scripthash, bestblock: this.tip, height: this.height, ...rest };
  }

  #balanceOf(hash: string): object {
    const coins = this.#coinsOf(hash) as { amount: number; height?: number; coinbase: boolean; spentby?: string }[];
    const sums = { confirmed: 0, unconfirmed: 0, immature: 0 };
    for (const { amount, height, coinbase, spentby } of coins) {
      if (spentby !== undefined) continue;
      const isImmature = coinbase && height !== undefined && this.height + 1 - height < 100;
      sums[height === undefined ? 'unconfirmed' : isImmature ? 'immature' : 'confirmed'] += Math.round(amount * 1e8);
    }
    const inCoins = Object.entries(sums).map(([name, value]) => [name, value / 1e8]);
    return { ...Object.fromEntries(inCoins), coins: coins.length };
  }

  #coinsOf(hash: string): object[] {
    const spentby = (key: OutPointKey) =>
      this.pool.find((tx) => tx.inputs.some((input) => prevoutKey(input) === key))?.txid;
    const json = (txid: Txid, vout: number, value: bigint) => ({
      txid,
      vout,
      amount: Number(value) / 1e8,
      spentby: spentby(outPointKey(txid, vout)),
    });
    const mined = [...this.#coins.values()]
      .filter((coin) => scriptHash(coin.scriptPubKey) === hash)
      .map(({ txid, vout, value, height, coinbase }) => ({
        ...json(txid, vout, value),
        confirmations: this.height - height + 1,
        height,
        coinbase,
      }));
    const pooled = this.pool.flatMap(({ txid, outputs }) =>
      outputs.flatMap((output, vout) =>
        scriptHash(output.scriptPubKey) === hash
          ? [{ ...json(txid, vout, output.value), confirmations: 0, coinbase: false }]
          : [],
      ),
    );
    return [...mined, ...pooled];
  }

  #historyOf(hash: string): object[] {
    return (this.#history.get(hash) ?? []).map((txid) => ({ txid, confirmations: 0 }));
  }

  /** How a transaction of the pool hangs together with others. Fees are not known here. */
  #entry(txid: Txid): object {
    const tx = this.pool.find((candidate) => candidate.txid === txid);
    if (tx === undefined) throw new RpcFailure(-5, 'Transaction not in mempool');
    const inPool = new Set(this.pool.map((other) => other.txid));
    const depends = [...new Set(tx.inputs.map(({ prevout }) => prevout.txid))].filter((id) => inPool.has(id));
    const descendants = new Set([txid]);
    for (const other of this.pool) {
      if (other.inputs.some(({ prevout }) => descendants.has(prevout.txid))) descendants.add(other.txid);
    }
    return {
      vsize: vsizeOf(tx),
      fees: { base: 0, descendant: 0 },
      descendantcount: descendants.size,
      depends,
    };
  }

  #lookUp(txid: Txid): object {
    if (this.pool.some((tx) => tx.txid === txid)) return { txid };
    const height = this.#confirmed.get(txid);
    if (height === undefined) throw new RpcFailure(-5, 'No such mempool or blockchain transaction.');
    return { txid, confirmations: this.height - height + 1 };
  }

  #accept(hex: string): Txid {
    if (this.refuse !== undefined) throw new RpcFailure(-26, this.refuse);
    const decoded = decode(hexToBytes(hex), readTransaction);
    if (!decoded.ok) throw new RpcFailure(-22, 'TX decode failed.');
    const tx = decoded.value;
    const broken = checkTransaction(tx) ?? checkSubset(tx);
    if (broken !== null) throw new RpcFailure(-26, broken.reason);
    const coins = tx.inputs.map((input) => this.#coinFor(prevoutKey(input)));
    if (!coins.every((coin) => coin !== undefined)) throw new RpcFailure(-25, 'bad-txns-inputs-missingorspent');
    const fee = checkInputs(tx, coins, this.height + 1);
    if (!fee.ok) throw new RpcFailure(-26, fee.error.reason);
    if (fee.value < BigInt(vsizeOf(tx))) throw new RpcFailure(-26, 'min relay fee not met');
    const checks = signatureChecks(tx, coins);
    if (!checks.ok) throw new RpcFailure(-26, checks.error.reason);
    if (firstFailure(checks.value) >= 0)
      throw new RpcFailure(-26, 'mandatory-script-verify-flag-failed (Invalid Schnorr signature)');
    this.pool.push(tx);
    for (const output of tx.outputs) this.#touch(output.scriptPubKey, tx.txid);
    for (const coin of coins) this.#touch(coin.scriptPubKey, tx.txid);
    return tx.txid;
  }

  /** An unspent coin of the chain or the pool. */
  #coinFor(key: OutPointKey): Coin | undefined {
    if (this.pool.some((tx) => tx.inputs.some((input) => prevoutKey(input) === key))) return undefined;
    const [txid, vout] = key.split(':');
    const output = this.pool.find((tx) => tx.txid === txid)?.outputs[Number(vout)];
    return output === undefined ? this.#coins.get(key) : { ...output, height: this.height + 1, coinbase: false };
  }
}
