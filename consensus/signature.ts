/**
 * Signatures: BIP 340 over secp256k1, and the key tweak of BIP 341. Written over `@noble/secp256k1`; the faster backends
 * of node/verify/ answer the same question for many checks at once and are compared with this one.
 */

import { etc, hashes, Point, schnorr } from '@noble/secp256k1';
import { sha256 } from '#hash';
import { type Bytes, fail, ok, type Result } from './brand.ts';
import { concatBytes } from './codec.ts';

// noble's synchronous functions need a hash; without one they throw.
hashes.sha256 = sha256;

/** Bytes of a packed check: x-only key (32), message (32), signature (64). */
export const CHECK_SIZE = 128;

/** Order of the group. */
const N = Point.CURVE().n;

/** BIP 340: sha256(sha256(tag) ‖ sha256(tag) ‖ parts). */
export function taggedHash(tag: string, ...parts: readonly Bytes[]): Bytes {
  const prefix = sha256(new TextEncoder().encode(tag));
  return sha256(concatBytes(prefix, prefix, ...parts));
}

/**
 * True if the signature holds. False for anything else, also for a key that is no point of the curve.
 * (noble also refuses s = 0, which BIP 340 allows; finding such a signature is as hard as inverting the hash.)
 */
export function verifySchnorr(key: Bytes, message: Bytes, signature: Bytes): boolean {
  return schnorr.verify(signature, message, key);
}

/** Signs 32 bytes. `aux` is 32 fresh random bytes: it hides the key from fault and power attacks. Throws on a secret that is none. */
export function signSchnorr(secret: Bytes, message: Bytes, aux: Bytes): Bytes {
  return schnorr.sign(message, secret, aux);
}

/** The x-only public key of a secret key. Throws on a secret that is none. */
export function xOnlyPublicKey(secret: Bytes): Bytes {
  return schnorr.getPublicKey(secret);
}

/**
 * BIP 341: the output key of an internal key, for a tree of scripts with the given root, or for none.
 * Fails where the internal key is no point of the curve.
 */
export function tweakPublicKey(internal: Bytes, root?: Bytes): Result<Bytes, string> {
  if (internal.length !== 32) return fail('an x-only key has 32 bytes');
  let point: Point;
  try {
    point = Point.fromBytes(concatBytes(Uint8Array.of(2), internal));
  } catch {
    // noble tells a bad encoding by an exception only; its arguments are of the right type and length here.
    return fail('the key is no point of the curve');
  }
  const tweak = tweakOf(internal, root);
  const output = tweak === 0n ? point : point.add(Point.BASE.multiply(tweak));
  return ok(output.toBytes(true).slice(1));
}

/** BIP 341: the secret key of the output key. Throws on a secret that is none. */
export function tweakSecretKey(secret: Bytes, root?: Bytes): Bytes {
  const publicKey = Point.fromBytes(concatBytes(Uint8Array.of(2), xOnlyPublicKey(secret)));
  const scalar = etc.bytesToNumberBE(secret);
  // An x-only key stands for the point with the even y: the secret of the other one is negated first.
  const even = Point.BASE.multiply(scalar).equals(publicKey) ? scalar : N - scalar;
  return etc.numberToBytesBE((even + tweakOf(publicKey.toBytes(true).slice(1), root)) % N);
}

/** A tweak of n or more has a chance of 2^-128 and no known preimage: it is a bug, not an input. */
function tweakOf(internal: Bytes, root: Bytes = new Uint8Array(0)): bigint {
  const tweak = etc.bytesToNumberBE(taggedHash('TapTweak', internal, root));
  if (tweak >= N) throw new Error('the tweak is not below the order of the group');
  return tweak;
}
