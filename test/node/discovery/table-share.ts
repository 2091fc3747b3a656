/**
 * What an attacker can hold of the tables of the address manager, as the head of address-manager.ts derives it. Pure
 * arithmetic from the limits; table-share.test.ts compares it with what happens.
 */
import type { Limits } from '../../../node/limits.ts';

export interface Share {
  /** Of all places of the table. */
  readonly places: number;
  /** Of what is in the table. */
  readonly entries: number;
  /** Of what is drawn from the table: each bucket that holds something is drawn as often as any other. */
  readonly draws: number;
}

export interface TriedAttack {
  /** Addresses of the attacker, evenly in so many netgroups. */
  readonly attackers: number;
  readonly groups: number;
  /** Honest addresses, each in a netgroup of its own. They answer whenever they are tested, and so do the attacker's. */
  readonly honest: number;
  /** The attacker's were reached before the honest ones; else after them. */
  readonly attackersFirst?: boolean;
  readonly limits: Limits;
}

export interface NewAttack {
  /** Addresses of which the attacker tells, each once and in a netgroup of its own. */
  readonly attackers: number;
  /** Netgroups from which it tells. */
  readonly sourceGroups: number;
  /** Honest addresses that we were told before, by sources of many groups. */
  readonly honest: number;
  readonly limits: Limits;
}

export function expectedTriedShare({ attackers, groups, honest, attackersFirst = false, limits }: TriedAttack): Share {
  const { triedBuckets: buckets, triedBucketsPerGroup, bucketSize: size } = limits;
  return share({ attackers, hashes: triedBucketsPerGroup * groups, honest, attackersFirst, buckets, size });
}

export function expectedNewShare({ attackers, sourceGroups, honest, limits }: NewAttack): Share {
  const { newBuckets: buckets, newBucketsPerSourceGroup, bucketSize: size } = limits;
  const hashes = newBucketsPerSourceGroup * sourceGroups;
  return share({ attackers, hashes, honest, attackersFirst: false, buckets, size });
}

/** `hashes`: values, each of one random bucket, to one of which each of the attacker's addresses is hashed. */
function share(table: {
  readonly attackers: number;
  readonly hashes: number;
  readonly honest: number;
  readonly attackersFirst: boolean;
  readonly buckets: number;
  readonly size: number;
}): Share {
  const { attackers, hashes, honest, attackersFirst, buckets, size } = table;
  // A place that some honest address wants.
  const honestWant = 1 - (1 - 1 / (buckets * size)) ** honest;
  let attackerPlaces = 0;
  let honestPlaces = 0;
  let attackerDraws = 0;
  let held = 0;
  for (const [values, chance] of binomial(hashes, 1 / buckets).entries()) {
    // A place of a bucket on which so many values fall, that some address of the attacker wants.
    const attackerWants = 1 - (1 - values / (hashes * size)) ** attackers;
    const first = attackersFirst ? attackerWants : honestWant;
    const second = attackersFirst ? honestWant : attackerWants;
    const both = [first, second * (1 - first)] as const;
    attackerPlaces += chance * both[attackersFirst ? 0 : 1];
    honestPlaces += chance * both[attackersFirst ? 1 : 0];
    for (const [taken, takenChance] of binomial(size, first).entries()) {
      const others = (size - taken) * second;
      // Nobody of the first ones: the bucket is drawn only if there is one of the second.
      const isHeld = taken > 0 ? 1 : 1 - (1 - second) ** size;
      const partOfFirst = taken > 0 ? taken / (taken + others) : 0;
      held += chance * takenChance * isHeld;
      attackerDraws += chance * takenChance * isHeld * (attackersFirst ? partOfFirst : 1 - partOfFirst);
    }
  }
  return {
    places: attackerPlaces,
    entries: attackerPlaces / (attackerPlaces + honestPlaces),
    draws: attackerDraws / held,
  };
}

/** The probability of each number of hits among so many tries. */
function binomial(tries: number, chance: number): number[] {
  if (chance === 1) return [...new Array<number>(tries).fill(0), 1];
  let logarithm = tries * Math.log1p(-chance);
  const out = [Math.exp(logarithm)];
  for (let hits = 1; hits <= tries; hits++) {
    logarithm += Math.log(((tries - hits + 1) / hits) * (chance / (1 - chance)));
    const probability = Math.exp(logarithm);
    out.push(probability);
    // What follows is nothing to speak of.
    if (hits > tries * chance && probability < 1e-12) break;
  }
  return out;
}
