/**
 * The sockets of Stratum (mining/stratum.ts has the protocol): takes connections, cuts what they send into lines, keeps the
 * work up to date by the node's own getblocktemplate, and hands blocks to its submitblock. Bounded in connections, in the
 * length of a line and in what waits to be sent.
 */
import { createServer, type Socket } from 'node:net';
import type { BlockHash, Bytes } from '../../consensus/brand.ts';
import type { ChainParams } from '../../consensus/params.ts';
import type { Endpoint, Millis, RequestId, RpcOutcome } from '../boundary.ts';
import { type ConnectionId, Stratum, type StratumEffect, type StratumTemplate } from '../mining/stratum.ts';
import type { RpcCaller } from './http.ts';
import { listenOn } from './listen.ts';
import type { Logger } from './log.ts';

const MAX_CONNECTIONS = 256;
const MAX_LINE_BYTES = 8192;
/** A miner that reads so little is gone. */
const MAX_UNSENT_BYTES = 1_000_000;
/** A connection that says nothing for this long is closed; miners send shares far more often. */
const IDLE_MS = 10 * 60_000;
/** And so is one that has not said for whom it mines after this, so that it keeps no miner out. */
const AUTHORIZE_MS = 30_000;
/** Work is told anew after this at the latest, with the present time and what the pool has gained. */
const REFRESH_MS = 30_000;
/** A node that cannot give a template, for want of peers perhaps, is asked again after this. */
const RETRY_MS = 1000;
/** How often the log says what the workers have done. */
const REPORT_MS = 60_000;
const RULES = { rules: ['segwit'] };

export interface StratumOptions {
  readonly caller: RpcCaller;
  readonly params: ChainParams;
  /** Pays whoever authorizes with a name that is no address. */
  readonly defaultScript: Bytes | undefined;
  /** Random: see Stratum. */
  readonly firstExtra: number;
  readonly logger: Logger;
  /** Milliseconds that never run back. */
  readonly now: () => Millis;
}

export class StratumServer {
  readonly #options: StratumOptions;
  readonly #stratum: Stratum;
  readonly #server = createServer((socket) => this.#onConnection(socket));
  readonly #sockets = new Map<ConnectionId, Socket>();
  #lastId = 0;
  /** The long poll, and the timers, while there are connections. */
  #poll: RequestId | undefined;
  #refresh: NodeJS.Timeout | undefined;
  #report: NodeJS.Timeout | undefined;
  #retry: NodeJS.Timeout | undefined;
  #closing = false;

  constructor(options: StratumOptions) {
    this.#options = options;
    this.#stratum = new Stratum(options);
  }

  /** Port 0 picks a free one. Resolves to what was bound, rejects with a StartError. */
  listen(endpoint: Endpoint): Promise<Endpoint> {
    return listenOn(this.#server, endpoint, '--stratum');
  }

  async close(): Promise<void> {
    this.#closing = true;
    this.#rest();
    const closed = new Promise((resolve) => this.#server.close(resolve));
    for (const socket of this.#sockets.values()) socket.destroy();
    await closed;
  }

  #onConnection(socket: Socket): void {
    if (this.#closing || !this.#makeRoom()) {
      socket.destroy();
      return;
    }
    this.#lastId += 1;
    const id = this.#lastId;
    let rest = '';
    this.#sockets.set(id, socket);
    this.#stratum.onConnect(id, this.#options.now());
    this.#log('connected', id);
    socket.setEncoding('utf8');
    socket.setNoDelay(true);
    // The socket's own timeout would begin anew with all that we send.
    const silent = setTimeout(() => this.#close(id, 'silent for too long'), IDLE_MS);
    const authorizing = setTimeout(() => {
      if (!this.#stratum.isAuthorized(id)) this.#close(id, 'it has not authorized');
    }, AUTHORIZE_MS);
    socket.on('error', () => undefined); // `close` follows.
    socket.on('close', () => {
      clearTimeout(authorizing);
      clearTimeout(silent);
      if (!this.#forget(id)) return;
      this.#log('gone', id);
      if (this.#sockets.size === 0) this.#rest();
    });
    socket.on('data', (text: string) => {
      silent.refresh();
      const lines = (rest + text).split('\n');
      rest = lines.pop() as string;
      for (const line of lines) {
        if (!this.#sockets.has(id)) return;
        if (line.length > MAX_LINE_BYTES) return this.#close(id, 'a line that is too long');
        this.#perform(this.#stratum.onLine(id, line, this.#options.now()));
      }
      if (rest.length > MAX_LINE_BYTES) this.#close(id, 'a line that is too long');
    });
    if (this.#sockets.size === 1) this.#begin();
  }

  /** Where all places are taken, one that does not mine gives up its own. False where there is none. */
  #makeRoom(): boolean {
    if (this.#sockets.size < MAX_CONNECTIONS) return true;
    const useless = this.#stratum.leastUseful(this.#options.now());
    if (useless === undefined) return false;
    this.#close(useless, 'it hardly mines, and others wait');
    this.#forget(useless);
    return true;
  }

  /** A connection is gone, or as good as gone. */
  #forget(id: ConnectionId): boolean {
    if (!this.#sockets.delete(id)) return false;
    this.#stratum.onClose(id);
    return true;
  }

  /** The first miner is there: from now on the work is kept up to date. */
  #begin(): void {
    this.#ask();
    this.#refresh = setInterval(() => this.#ask(), REFRESH_MS);
    this.#report = setInterval(() => this.#tellCounts(), REPORT_MS);
  }

  #rest(): void {
    clearInterval(this.#refresh);
    clearInterval(this.#report);
    clearTimeout(this.#retry);
    if (this.#poll !== undefined) this.#options.caller.closeCall(this.#poll);
    this.#poll = undefined;
  }

  /** A template now; then one as soon as there is a better one. */
  #ask(): void {
    clearTimeout(this.#retry);
    this.#options.caller.call('getblocktemplate', [RULES], (outcome) => {
      const longPollId = this.#onTemplate(outcome);
      if (longPollId !== undefined && this.#poll === undefined) this.#waitForBetter(longPollId);
    });
  }

  #waitForBetter(longpollid: string): void {
    if (this.#closing || this.#sockets.size === 0) return;
    this.#poll = this.#options.caller.call('getblocktemplate', [{ ...RULES, longpollid }], (outcome) => {
      this.#poll = undefined;
      const next = this.#onTemplate(outcome);
      if (next !== undefined) this.#waitForBetter(next);
    });
  }

  /** Hands out the template; its long poll id, or undefined where there is none and it is asked for later. */
  #onTemplate(outcome: RpcOutcome): string | undefined {
    if (this.#closing || this.#sockets.size === 0) return undefined;
    if (!outcome.ok) {
      this.#options.logger.log('debug', 'stratum: no work', { reason: outcome.message });
      clearTimeout(this.#retry);
      this.#retry = setTimeout(() => this.#ask(), RETRY_MS);
      return undefined;
    }
    const template = JSON.parse(outcome.json) as StratumTemplate & { readonly longpollid: string };
    this.#perform(this.#stratum.onTemplate(template, this.#options.now()));
    return template.longpollid;
  }

  #perform(effects: readonly StratumEffect[]): void {
    for (const effect of effects) {
      switch (effect.type) {
        case 'send':
          this.#send(effect.to, effect.line);
          break;
        case 'close':
          this.#close(effect.to, effect.reason);
          break;
        case 'block':
          this.#submit(effect.hex, effect.hash, effect.worker);
          break;
        default:
          this.#options.logger.log('info', `stratum: ${effect.message}`, { worker: effect.worker });
      }
    }
  }

  #send(to: ConnectionId, line: string): void {
    const socket = this.#sockets.get(to);
    if (socket === undefined) return;
    if (socket.writableLength > MAX_UNSENT_BYTES) this.#close(to, 'it does not read');
    else socket.write(`${line}\n`);
  }

  #submit(hex: string, hash: BlockHash, worker: string): void {
    this.#options.caller.call('submitblock', [hex], (outcome) => {
      const reason = outcome.ok ? (JSON.parse(outcome.json) as string | null) : outcome.message;
      if (reason === null) this.#options.logger.log('info', 'stratum: block', { hash, worker });
      else this.#options.logger.log('warn', 'stratum: block not accepted', { hash, worker, reason });
    });
  }

  #close(id: ConnectionId, reason: string): void {
    const socket = this.#sockets.get(id);
    if (socket === undefined) return;
    this.#log('closed', id, reason);
    socket.destroy();
  }

  #tellCounts(): void {
    for (const { worker, difficulty, accepted, rejected, blocks } of this.#stratum.counts()) {
      const fields = { worker, shares: accepted, rejected, blocks, difficulty: Number(difficulty.toPrecision(4)) };
      this.#options.logger.log('info', 'stratum: worker', fields);
    }
  }

  #log(what: string, id: ConnectionId, reason?: string): void {
    const remote = this.#sockets.get(id)?.remoteAddress;
    this.#options.logger.log('info', `stratum: miner ${what}`, { miner: id, remote, reason });
  }
}
