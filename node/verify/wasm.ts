/**
 * The signature backend over libsecp256k1 as WebAssembly, from the npm package `tiny-secp256k1`: ten times as fast as
 * noble, and it needs nothing of the platform. It serves where there is no machine code, as on linux-arm64.
 */
import { createRequire } from 'node:module';
import { type Bytes, fail, ok, type Result } from '../../consensus/brand.ts';
import type { Backend } from './backend.ts';

/** The part of `tiny-secp256k1` that is used. */
interface TinySecp256k1 {
  /** Throws where the key is no point, or r or s is not below n. */
  verifySchnorr(message: Bytes, key: Bytes, signature: Bytes): boolean;
}

/** Fails where the package or WebAssembly is missing. */
export function loadWebAssemblyBackend(): Result<Backend, string> {
  let tiny: TinySecp256k1;
  try {
    tiny = createRequire(import.meta.url)('tiny-secp256k1') as TinySecp256k1;
  } catch (error) {
    return fail(`tiny-secp256k1 does not load: ${String(error)}`);
  }
  const verify: Backend['verify'] = (key, message, signature) => {
    try {
      return tiny.verifySchnorr(message, key, signature);
    } catch {
      return false; // No point, or a number out of range: noble decides.
    }
  };
  return ok({ name: 'wasm', library: 'WebAssembly libsecp256k1', verify });
}
