/**
 * Many identities with one script: peers that are no nodes, as cheap as the few messages that they answer, so that one
 * attacker can have thousands of them. They listen at endpoints or dial from them, complete the handshake, answer pings,
 * and as told announce and serve a chain, or tell addresses. What else they do is sent over their links from outside.
 */
import type { Block, BlockHeader } from '../../consensus/block.ts';
import type { BlockHash, Bytes } from '../../consensus/brand.ts';
import type { Endpoint } from '../../node/boundary.ts';
import { decodeMessage, encodeMessage } from '../../node/wire/codec.ts';
import { FrameParser } from '../../node/wire/frame.ts';
import {
  type GossipAddress,
  type Message,
  PROTOCOL_VERSION,
  SERVICE_NETWORK,
  SERVICE_WEBSOCKET,
  SERVICE_WITNESS,
} from '../../node/wire/message.ts';
import type { Network, OutsideEnd, OutsideLink, SimNode } from './network.ts';

const DEFAULT_SERVICES = SERVICE_NETWORK | SERVICE_WITNESS | SERVICE_WEBSOCKET;
const MAX_MESSAGE_BYTES = 4_000_000;
const MAX_HEADERS = 2000;
/** A block is announced by headers only where so few are missing; otherwise the node asks by itself. */
const MAX_ANNOUNCED = 8;
/** Other messages are not even decoded. */
const ANSWERED: ReadonlySet<string> = new Set<Message['type']>([
  'version',
  'verack',
  'ping',
  'getaddr',
  'getheaders',
  'getdata',
]);

export interface PeerScript {
  readonly services?: bigint;
  readonly userAgent?: string;
  /** Blocks above genesis, ascending: announced after the handshake and served. */
  readonly chain?: readonly Block[];
  /** Announce the chain and give no body of it. */
  readonly withholdsBodies?: boolean;
  /** What a getaddr is answered with. */
  readonly addresses?: (link: ScriptedLink) => readonly GossipAddress[];
  /** Says nothing of its own and answers nothing, not even the handshake. */
  readonly mute?: boolean;
}

/** One link of one identity. */
export interface ScriptedLink extends OutsideLink {
  /** The node has completed the handshake. */
  readonly isReady: boolean;
  /** Why the link has ended, or undefined. */
  readonly closed: string | undefined;
  tell(...messages: readonly Message[]): void;
}

export class ScriptedPeers {
  /** All links that there ever were, in the order of their opening. */
  readonly links: ScriptedLink[] = [];
  readonly #network: Network;
  readonly #script: PeerScript;
  readonly #headers: BlockHeader[] = [];
  /** Height by hash. */
  readonly #heights = new Map<BlockHash, number>();
  /** Whole messages by the hash of the block. */
  readonly #bodies = new Map<string, Bytes>();
  #nonce = 0n;

  constructor(network: Network, script: PeerScript = {}) {
    this.#network = network;
    this.#script = script;
    const { magic, genesis } = network.params;
    this.#heights.set(genesis.header.hash, 0);
    for (const block of script.chain ?? []) {
      this.#headers.push(block.header);
      this.#heights.set(block.header.hash, this.#headers.length);
      if (script.withholdsBodies === true) continue;
      this.#bodies.set(block.header.hash, encodeMessage({ type: 'block', block }, magic));
    }
  }

  /** Links that are open. */
  get open(): ScriptedLink[] {
    return this.links.filter(({ isOpen }) => isOpen);
  }

  /** Links that were closed by the nodes, or broke. */
  get closed(): ScriptedLink[] {
    return this.links.filter(({ closed }) => closed !== undefined);
  }

  /** Answers whoever dials one of the endpoints. */
  listen(endpoints: readonly Endpoint[]): void {
    for (const endpoint of endpoints) this.#network.listen(endpoint, (link) => this.#meet(link, false));
  }

  dial(node: SimNode, from: Endpoint): ScriptedLink {
    this.#network.dialFrom(from, node, (link) => this.#meet(link, true));
    return this.links.at(-1) as ScriptedLink;
  }

  /** A new link: whoever dialled speaks first. */
  #meet(link: OutsideLink, dialled: boolean): OutsideEnd {
    const { magic } = this.#network.params;
    const parser = new FrameParser(magic, MAX_MESSAGE_BYTES);
    const state = { isReady: false, closed: undefined as string | undefined };
    const scripted: ScriptedLink = {
      node: link.node,
      peer: link.peer,
      endpoint: link.endpoint,
      get isOpen() {
        return link.isOpen;
      },
      get unread() {
        return link.unread;
      },
      get isReady() {
        return state.isReady;
      },
      get closed() {
        return state.closed;
      },
      send: (bytes) => link.send(bytes),
      close: () => link.close(),
      tell: (...messages) => {
        for (const message of messages) link.send(encodeMessage(message, magic));
      },
    };
    this.links.push(scripted);
    if (this.#script.mute !== true && dialled) scripted.tell(this.#version());
    const answer = (message: Message) => {
      switch (message.type) {
        case 'version':
          return dialled
            ? scripted.tell({ type: 'sendaddrv2' }, { type: 'verack' })
            : scripted.tell(this.#version(), { type: 'sendaddrv2' }, { type: 'verack' });
        case 'verack':
          state.isReady = true;
          return this.#announce(scripted);
        default:
          return this.#answer(scripted, message);
      }
    };
    return {
      onBytes: (bytes) => {
        if (this.#script.mute === true) return;
        for (const frame of parser.push(bytes)) {
          if (frame.type !== 'message' || !ANSWERED.has(frame.command)) continue;
          const message = decodeMessage(frame.command, frame.payload);
          if (message.ok && message.value !== null) answer(message.value);
        }
      },
      onClosed: (reason) => {
        state.closed = reason;
      },
    };
  }

  #announce(link: ScriptedLink): void {
    if (this.#headers.length > 0) link.tell({ type: 'headers', headers: this.#headers.slice(-MAX_ANNOUNCED) });
  }

  #answer(link: ScriptedLink, message: Message): void {
    switch (message.type) {
      case 'ping':
        return link.tell({ type: 'pong', nonce: message.nonce });
      case 'getaddr': {
        const addresses = this.#script.addresses?.(link) ?? [];
        if (addresses.length > 0) link.tell({ type: 'addrv2', addresses });
        return;
      }
      case 'getheaders': {
        const from = message.locator.map((hash) => this.#heights.get(hash)).find((height) => height !== undefined) ?? 0;
        return link.tell({ type: 'headers', headers: this.#headers.slice(from, from + MAX_HEADERS) });
      }
      case 'getdata':
        for (const { hash } of message.items) {
          const body = this.#bodies.get(hash);
          if (body !== undefined) link.send(body);
        }
        return;
      default: // Nothing else is worth an answer.
    }
  }

  #version(): Message {
    return {
      type: 'version',
      version: PROTOCOL_VERSION,
      services: this.#script.services ?? DEFAULT_SERVICES,
      time: BigInt(this.#network.now.unix),
      receiver: { services: 0n, ip: new Uint8Array(16), port: 0 },
      nonce: ++this.#nonce,
      userAgent: this.#script.userAgent ?? '/scripted/',
      startHeight: this.#headers.length,
      relay: true,
    };
  }
}
