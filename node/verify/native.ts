/**
 * The signature backend over libsecp256k1, from the prebuilt binaries of the npm package `secp256k1`: 36 times as fast as
 * noble. That package knows ECDSA only, so BIP 340 is verified through public key recovery, which answers
 * `r⁻¹·(s'·R' − z·G)` with R' the point of even y whose x is r. With r = P.x, s' = −e·P.x and z = −s·P.x (mod n) that is
 * `s·G − e·P`, the point that BIP 340 wants to have an even y and the x of the signature.
 */
import { createRequire } from 'node:module';
import { sha256 } from '#hash';
import { type Bytes, fail, ok, type Result } from '../../consensus/brand.ts';
import type { Backend } from './backend.ts';

/** The part of `secp256k1/bindings` that is used. Each changes and returns its first argument, or the output; each throws. */
interface Secp256k1 {
  /** Times the tweak, mod n. Throws if either is 0 or not below n. */
  privateKeyTweakMul(scalar: Bytes, tweak: Bytes): Bytes;
  privateKeyNegate(scalar: Bytes): Bytes;
  /** Throws if there is no such point. */
  ecdsaRecover(signature: Bytes, recoveryId: number, message: Bytes, compressed: boolean, output: Bytes): Bytes;
}

/**
 * Fails where the package has no binary for this platform. Its JavaScript fallback is never loaded: it is slower than
 * noble.
 */
export function loadNativeBackend(): Result<Backend, string> {
  let secp256k1: Secp256k1;
  try {
    secp256k1 = createRequire(import.meta.url)('secp256k1/bindings') as Secp256k1;
  } catch {
    return fail('the package secp256k1 has no binary for this platform');
  }
  return ok({ name: 'native', library: 'native libsecp256k1', verify: recoveryVerifier(secp256k1) });
}

function recoveryVerifier(secp256k1: Secp256k1): Backend['verify'] {
  // The buffers are reused: a verification allocates nothing but its hash.
  const tag = sha256(new TextEncoder().encode('BIP0340/challenge'));
  const challenge = new Uint8Array(160);
  challenge.set(tag, 0);
  challenge.set(tag, 32);
  const recoverable = new Uint8Array(64);
  const scalar = recoverable.subarray(32);
  const z = new Uint8Array(32);
  const point = new Uint8Array(33);

  return (key, message, signature) => {
    challenge.set(signature.subarray(0, 32), 64);
    challenge.set(key, 96);
    challenge.set(message, 128);
    try {
      recoverable.set(key, 0);
      scalar.set(sha256(challenge));
      secp256k1.privateKeyNegate(secp256k1.privateKeyTweakMul(scalar, key));
      // BIP 340 refuses s >= n, and so does this multiplication: without it s and s − n would both pass.
      z.set(signature.subarray(32));
      secp256k1.privateKeyNegate(secp256k1.privateKeyTweakMul(z, key));
      secp256k1.ecdsaRecover(recoverable, 0, z, true, point);
    } catch {
      return false; // A scalar that is 0 or not below n, or no point: noble decides.
    }
    if (point[0] !== 2) return false;
    for (let i = 0; i < 32; i++) if (point[i + 1] !== signature[i]) return false;
    return true;
  };
}
