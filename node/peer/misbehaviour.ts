/**
 * What a breach costs its sender: the one table. RULES.md C4, last paragraph.
 * There is no score: the first offence that only a broken or hostile peer commits ends the link. Whatever an honest peer
 * can do (another policy, another clock, a chain that Bitcoin allows and we do not) costs nothing.
 */
import type { Reject, RejectKind } from '../../consensus/reject.ts';
import type { Offence } from '../effect.ts';

/** `discourage`: the link ends, and its host is remembered (bans.ts). It is for what no peer does by mistake. */
export type Consequence = 'discourage' | 'disconnect' | 'ignore';

const REJECTS: Readonly<Record<RejectKind, Consequence>> = {
  consensus: 'discourage',
  mutated: 'discourage',
  header: 'discourage',
  'invalid-prev': 'discourage',
  // A header that we refused before, perhaps for a rule of the subset; a peer may go on telling us of it.
  'cached-invalid': 'ignore',
  // Headers that connect to nothing are asked for; a *block* that does is the offence 'unrequested-orphan-block'.
  'missing-prev': 'ignore',
  'low-work': 'ignore',
  'time-future': 'ignore',
  subset: 'ignore',
  policy: 'ignore',
  reconsiderable: 'ignore',
  'missing-inputs': 'ignore',
  premature: 'ignore',
  'witness-stripped': 'ignore',
};

const OFFENCES: Readonly<Record<Offence, Consequence>> = {
  // It may be of another network.
  'bad-magic': 'disconnect',
  'oversized-message': 'disconnect',
  'too-much-junk': 'disconnect',
  'too-many-addresses': 'discourage',
  'too-many-inventory': 'discourage',
  'too-many-headers': 'discourage',
  'discontinuous-headers': 'discourage',
  'unrequested-orphan-block': 'discourage',
  'locator-too-long': 'disconnect',
  'late-feature-message': 'disconnect',
  'tx-without-relay': 'disconnect',
};

/** What the sender of something that was refused for `why` has to expect. */
export function consequence(why: Reject | Offence): Consequence {
  return typeof why === 'string' ? OFFENCES[why] : REJECTS[why.kind];
}

/** One line for logs and notices. */
export function describeOffence(why: Reject | Offence): string {
  if (why === 'bad-magic') return 'bad-magic, it is of another network or chain';
  if (typeof why === 'string') return why;
  return why.detail === undefined ? why.reason : `${why.reason}, ${why.detail}`;
}
