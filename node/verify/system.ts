/**
 * The signature backend over a libsecp256k1 that is installed on the machine, called through `koffi` (an optional
 * dependency). It verifies BIP 340 as fast as a program in C would: 1.4 times as fast as native.ts, which takes a detour.
 *
 * A wrong call of a foreign function ends the process, and no `catch` helps. So nothing is called before the library is
 * known to be one that takes the call as it is made here: by its soname, which changes when the interface does, and by a
 * function that came in the same change as the one argument that verification ever got (see `bind`).
 */
import { createRequire } from 'node:module';
import { fail, ok, type Result } from '../../consensus/brand.ts';
import type { Backend } from './backend.ts';

/** The part of `koffi` that is used. */
interface Koffi {
  /** Throws where there is no such library. */
  load(file: string): Library;
}
interface Library {
  /** Throws where the library has no such function. */
  func(prototype: string): (...args: readonly unknown[]) => unknown;
  symbol(name: string): unknown;
}

/** Versions of the interface, newest first: libsecp256k1 0.8, 0.7, 0.6, 0.3 to 0.5, 0.2, 0.1. Later ones are not known yet. */
const ABI_VERSIONS = [7, 6, 5, 2, 1, 0];
/** SECP256K1_CONTEXT_VERIFY: the old versions need it, the new ones accept it. */
const CONTEXT_VERIFY = 0x101;
/** Bytes of a secp256k1_xonly_pubkey. */
const PARSED_KEY_SIZE = 64;

/** Tries the files in their order. Fails with the reason where none serves. */
export function loadSystemBackend(files: readonly string[] = libraryFiles()): Result<Backend, string> {
  let koffi: Koffi;
  try {
    koffi = createRequire(import.meta.url)('koffi') as Koffi;
  } catch {
    return fail('the package koffi is not installed, or has no binary for this platform');
  }
  let why = `no libsecp256k1 is installed (${files.join(', ')})`;
  for (const file of files) {
    let library: Library;
    try {
      library = koffi.load(file);
    } catch {
      continue; // Not installed under this name.
    }
    try {
      return ok({ name: 'system', library: `system libsecp256k1 (${file})`, verify: bind(library) });
    } catch (error) {
      why = `${file} is too old, or was built without the module schnorrsig (${String(error)})`;
    }
  }
  return fail(why);
}

/** Throws where the library lacks a function. */
function bind(library: Library): Backend['verify'] {
  // Not called. Before this function came, verification took no length: with the call below it would read the key at
  // address 32. Both changed in pull request 844 of libsecp256k1, between two versions without a number.
  library.symbol('secp256k1_schnorrsig_sign_custom');
  const createContext = library.func('void *secp256k1_context_create(unsigned int flags)');
  const parseKey = library.func(
    'int secp256k1_xonly_pubkey_parse(void *context, _Out_ uint8_t *parsed, const uint8_t *key)',
  );
  const verifySignature = library.func(
    'int secp256k1_schnorrsig_verify(void *context, const uint8_t *signature, const uint8_t *message, size_t length, ' +
      'const uint8_t *parsed)',
  );
  // Never freed: 200 bytes for each thread.
  const context = createContext(CONTEXT_VERIFY);
  const parsed = new Uint8Array(PARSED_KEY_SIZE);
  // A key that was not parsed must not reach the verification: the library would end the process.
  return (key, message, signature) =>
    parseKey(context, parsed, key) === 1 && verifySignature(context, signature, message, message.length, parsed) === 1;
}

/** What libsecp256k1 is called on this platform. */
function libraryFiles(): readonly string[] {
  switch (process.platform) {
    case 'win32':
      return ABI_VERSIONS.map((version) => `libsecp256k1-${version}.dll`);
    case 'darwin':
      // The dynamic linker does not look where Homebrew installs on Apple silicon.
      return ABI_VERSIONS.flatMap((version) =>
        ['', '/opt/homebrew/lib/'].map((folder) => `${folder}libsecp256k1.${version}.dylib`),
      );
    default:
      return ABI_VERSIONS.map((version) => `libsecp256k1.so.${version}`);
  }
}
