/**
 * A hostile peer on the simulated network: in the place of a core, so that it dials, is dialled, and its links have the
 * same latency and back-pressure as those of all others. It does what it is told (grammar.ts), and answers what it is asked
 * as it was told to answer.
 */
import type { Bytes } from '../../consensus/brand.ts';
import { concatBytes } from '../../consensus/codec.ts';
import { regtest } from '../../consensus/params.ts';
import type { Action, DialId, Endpoint, Event, Millis, Now, PeerId, RequestId } from '../../node/boundary.ts';
import type { Core } from '../../node/ports.ts';
import { decodeMessage, encodeMessage } from '../../node/wire/codec.ts';
import { encodeFrame, type Frame, FrameParser } from '../../node/wire/frame.ts';
import { type Message, PROTOCOL_VERSION } from '../../node/wire/message.ts';
import type { Answers, Circumstances } from './grammar.ts';
import { type Material, unknownHash } from './material.ts';

/** An echo that never ended would be a test of patience. */
const MAX_ECHOES = 100;
const MAX_ANSWERS = 3000;
/** Of one stranger. */
export const MAX_LINKS = 30;

interface Link {
  readonly peer: PeerId;
  readonly parser: FrameParser;
  /** It has introduced itself: to do so twice would end the link. */
  greeted: boolean;
  echoes: number;
}

export class Stranger implements Core {
  answers: Answers = 'none';
  theirNonce = 0n;
  readonly #material: Material;
  readonly #links: Link[] = [];
  /** What the next request hands over. */
  #todo: Action[] = [];
  readonly #greets = new Set<DialId>();
  #nextDial = 1;
  #answered = 0;

  constructor(material: Material) {
    this.#material = material;
  }

  get links(): readonly PeerId[] {
    return this.#links.map(({ peer }) => peer);
  }

  /** The link of that number among those that are open. */
  link(number: number): PeerId | undefined {
    return this.links[number % Math.max(1, this.#links.length)];
  }

  /** Actions that leave when the network next calls. */
  plan(...actions: readonly Action[]): void {
    this.#todo.push(...actions);
  }

  /** `greets`: it introduces itself as soon as there is a link. */
  planDial(target: Endpoint, greets: boolean): void {
    if (this.#links.length >= MAX_LINKS) return;
    const dial = this.#nextDial++ as DialId;
    if (greets) this.#greets.add(dial);
    this.plan({ type: 'dial', dial, target: { transport: 'ws', ...target } });
  }

  /** `piece`: size of the parts in which it leaves; 0 for whole. */
  planSend(peer: PeerId, bytes: Bytes, piece: number): void {
    const size = piece === 0 ? bytes.length : Math.max(piece, Math.ceil(bytes.length / 2000));
    for (let at = 0; at < bytes.length; at += size)
      this.plan({ type: 'send', peer, bytes: bytes.subarray(at, at + size) });
  }

  planMessages(peer: PeerId, messages: readonly Message[]): void {
    this.planSend(peer, concatBytes(...messages.map((message) => encodeMessage(message, regtest.magic))), 0);
  }

  circumstances(now: Now): Circumstances {
    return { theirNonce: this.theirNonce, unix: now.unix };
  }

  handle(event: Event, now: Now): readonly Action[] {
    switch (event.type) {
      case 'link-up': {
        const { peer, dial } = event;
        const greeted = dial !== undefined && this.#greets.delete(dial);
        this.#links.push({ peer, parser: new FrameParser(regtest.magic, 4_000_000), greeted, echoes: 0 });
        if (greeted) this.planMessages(peer, greeting(now.unix, BigInt(dial) + 500n, true));
        break;
      }
      case 'link-down': {
        const at = this.#links.findIndex(({ peer }) => peer === event.peer);
        if (at >= 0) this.#links.splice(at, 1);
        break;
      }
      case 'bytes': {
        const link = this.#links.find(({ peer }) => peer === event.peer);
        if (link !== undefined) for (const frame of link.parser.push(event.bytes)) this.#onFrame(link, frame, now);
        break;
      }
      case 'request':
        this.plan({ type: 'reply', request: event.request as RequestId, outcome: { ok: true, json: 'null' } });
        break;
      default:
        break;
    }
    const actions = this.#todo;
    this.#todo = [];
    return actions;
  }

  nextDeadline(): Millis | undefined {
    return undefined;
  }

  #onFrame(link: Link, frame: Frame, now: Now): void {
    if (frame.type !== 'message') return;
    const decoded = decodeMessage(frame.command, frame.payload);
    if (decoded.ok && decoded.value?.type === 'version') this.theirNonce = decoded.value.nonce;
    if (this.answers === 'none') return;
    if (this.answers === 'echo') {
      // These would only end the link.
      if (frame.command === 'wtxidrelay' || frame.command === 'sendaddrv2') return;
      if (link.echoes++ >= MAX_ECHOES) return;
      return this.plan({
        type: 'send',
        peer: link.peer,
        bytes: encodeFrame(regtest.magic, frame.command, frame.payload),
      });
    }
    if (!decoded.ok || decoded.value === null || this.#answered++ > MAX_ANSWERS) return;
    if (decoded.value.type === 'version') {
      if (link.greeted) return;
      link.greeted = true;
    }
    const answers = this.#answer(decoded.value, this.answers === 'right', now);
    for (const answer of answers)
      this.plan({ type: 'send', peer: link.peer, bytes: encodeMessage(answer, regtest.magic) });
  }

  #answer(asked: Message, right: boolean, now: Now): Message[] {
    const { chain, branches, blocks, transactions } = this.#material;
    const turn = this.#answered;
    switch (asked.type) {
      case 'version':
        return right ? greeting(now.unix, BigInt(turn) + 1000n, true) : [];
      case 'ping':
        return [{ type: 'pong', nonce: right ? asked.nonce : asked.nonce ^ 1n }];
      case 'getaddr':
        return right ? [{ type: 'addr', addresses: [] }] : [{ type: 'getaddr' }];
      case 'getheaders': {
        if (!right) return [{ type: 'headers', headers: branches[turn % branches.length] ?? [] }];
        const known = new Set<string>(asked.locator);
        const after = chain.blocks.findLastIndex(({ header }) => known.has(header.hash));
        return [{ type: 'headers', headers: chain.blocks.slice(after + 1).map(({ header }) => header) }];
      }
      case 'inv':
        // Says that it has whatever others have, and takes it from nobody.
        return right ? [{ type: 'getdata', items: asked.items }] : [asked];
      case 'getdata':
        return asked.items.slice(0, 20).map((item, i): Message => {
          const isBlock = (item.kind & 0xff) === 2;
          const at = turn + i;
          if (isBlock) {
            const block = right ? blocks.find(({ header }) => header.hash === item.hash) : blocks[at % blocks.length];
            return block === undefined ? { type: 'notfound', items: [item] } : { type: 'block', block };
          }
          const tx = right
            ? transactions.find(({ txid, wtxid }) => txid === item.hash || wtxid === item.hash)
            : transactions[at % transactions.length];
          return tx === undefined || (!right && at % 4 === 0)
            ? { type: 'notfound', items: [{ ...item, hash: right ? item.hash : unknownHash(at) }] }
            : { type: 'tx', tx };
        });
      default:
        return [];
    }
  }
}

/** What an honest peer says first. */
export function greeting(unix: number, nonce: bigint, relay: boolean): Message[] {
  return [
    {
      type: 'version',
      version: PROTOCOL_VERSION,
      services: 0x1000009n,
      time: BigInt(unix),
      receiver: { services: 0n, ip: new Uint8Array(16), port: 0 },
      nonce,
      userAgent: '/stranger/',
      startHeight: 0,
      relay,
    },
    { type: 'wtxidrelay' },
    { type: 'sendaddrv2' },
    { type: 'verack' },
  ];
}
