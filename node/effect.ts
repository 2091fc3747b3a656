/** What a machine wants done to a peer. node.ts turns effects into actions; a machine never sees bytes or sockets. */
import type { Reject } from '../consensus/reject.ts';
import type { PeerId } from './boundary.ts';
import type { Message } from './wire/message.ts';

/** Breaches of the peer protocol that are not rejects of a block or transaction. RULES.md C4, last paragraph. */
export type Offence =
  | 'bad-magic'
  | 'oversized-message'
  | 'too-much-junk'
  | 'too-many-addresses'
  | 'too-many-inventory'
  | 'too-many-headers'
  | 'discontinuous-headers'
  | 'unrequested-orphan-block'
  | 'locator-too-long'
  | 'late-feature-message'
  | 'tx-without-relay';

export type Effect =
  | { readonly type: 'message'; readonly peer: PeerId; readonly message: Message }
  | { readonly type: 'disconnect'; readonly peer: PeerId; readonly reason: string }
  /** node.ts asks peer/misbehaviour.ts what it costs. */
  | { readonly type: 'misbehaved'; readonly peer: PeerId; readonly why: Reject | Offence };

export function message(peer: PeerId, value: Message): Effect {
  return { type: 'message', peer, message: value };
}
