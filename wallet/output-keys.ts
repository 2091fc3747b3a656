/**
 * The output keys of a wallet's addresses by index, remembered in a file beside the wallet: deriving one takes up to three
 * milliseconds, and looking up a wallet takes forty. The file serves look-ups only. It can be removed at any time, and an
 * address that is shown or gets change is always derived anew, so that a changed file cannot divert money.
 */
import { createHash } from 'node:crypto';
import { readFileSync, rmSync } from 'node:fs';
import { bytesToHex, hexToBytes } from '#hash';
import type { Bytes } from '../consensus/brand.ts';
import { CliError } from '../node/commands/cli.ts';
import { replaceFile } from './atomic-file.ts';
import { addressCount, type KeyChain, type KeyPlace } from './key-place.ts';
import type { AccountAddresses } from './keys.ts';
import type { Wallet } from './keystore.ts';
import type { LookUpKey } from './look-up-keys.ts';

interface CacheFile {
  /** Of the wallet that they belong to, as JSON. */
  readonly descriptor: string;
  /** Output keys of the external and the internal chain, from index 0, in hex. */
  readonly keys: readonly [readonly string[], readonly string[]];
  /** sha256 of the above as JSON. */
  readonly checksum: string;
}

/** Both ways to derive a key were seen to give the same. */
let agreed = false;

export class OutputKeys {
  readonly #wallet: Wallet;
  readonly #path: string;
  readonly #known: readonly [string[], string[]];
  readonly #descriptor: string;
  #addresses: AccountAddresses | undefined;
  #lookUpKey: LookUpKey | undefined;
  #changed = false;

  constructor(wallet: Wallet) {
    this.#wallet = wallet;
    this.#path = cachePath(wallet);
    const { origin, key, chains, ranged } = wallet.descriptor;
    this.#descriptor = JSON.stringify([origin ?? null, key, chains, ranged]);
    this.#known = readCache(this.#path, this.#descriptor);
  }

  /** Removes what was remembered for a wallet. */
  static forget(wallet: Wallet): void {
    rmSync(cachePath(wallet), { force: true });
  }

  /** How many addresses a chain has: none, one, or more than anybody needs. Watch-only wallets may lack a chain. */
  count(chain: KeyChain): number {
    return addressCount(this.#wallet.descriptor, chain);
  }

  /** Keys of a chain that need not be derived: as far as it was looked at before. */
  remembered(chain: KeyChain): number {
    return this.#known[chain].length;
  }

  /** Output keys of the indexes from `from` up to but not with `to`, for look-ups; fewer where the chain ends before. */
  async range(chain: KeyChain, from: number, to: number): Promise<readonly Bytes[]> {
    const known = this.#known[chain];
    const end = Math.min(to, this.count(chain));
    if (known.length < end) await this.#extend(chain, end);
    return known.slice(from, end).map(hexToBytes);
  }

  /** The output key at a place, derived from the wallet's public keys. Throws where the wallet has no such place. */
  async derive(place: KeyPlace): Promise<Bytes> {
    this.#addresses ??= await load(this.#wallet);
    return this.#addresses.outputKey(place);
  }

  async #extend(chain: KeyChain, end: number): Promise<void> {
    const known = this.#known[chain];
    this.#changed = true;
    this.#addresses ??= await load(this.#wallet);
    const parent = this.#addresses.chainKey(chain);
    if (parent !== undefined) this.#lookUpKey ??= (await import('./look-up-keys.ts')).loadLookUpKey();
    const derive = this.#lookUpKey;
    if (parent === undefined || derive === undefined) {
      while (known.length < end) known.push(bytesToHex(await this.derive({ chain, index: known.length })));
      return;
    }
    const first = known.length;
    while (known.length < end) known.push(bytesToHex(derive(parent, known.length)));
    if (agreed) return;
    // Once by both ways: a library that is broken must not make coins invisible.
    if (known[first] !== bytesToHex(await this.derive({ chain, index: first }))) {
      throw new Error('two ways to derive a key disagree');
    }
    agreed = true;
  }

  /** Remembers what was derived. In a folder that cannot be written to nothing is remembered: that costs time only. */
  save(): void {
    if (!this.#changed) return;
    const body = { descriptor: this.#descriptor, keys: this.#known };
    try {
      replaceFile(this.#path, `${JSON.stringify({ ...body, checksum: checksumOf(body) } satisfies CacheFile)}\n`);
    } catch (error) {
      if (!(error instanceof CliError)) throw error;
    }
    this.#changed = false;
  }
}

function cachePath({ path }: Wallet): string {
  return path.replace(/\.json$/, '.addresses.json');
}

async function load(wallet: Wallet): Promise<AccountAddresses> {
  const { AccountAddresses } = await import('./keys.ts');
  const addresses = AccountAddresses.fromDescriptor(wallet.descriptor, wallet.params);
  if (!addresses.ok) throw new Error(`${wallet.path} holds ${addresses.error}`);
  return addresses.value;
}

/** A file that is missing, damaged or another wallet's counts as empty: everything in it can be derived. */
function readCache(path: string, descriptor: string): readonly [string[], string[]] {
  let text: string;
  try {
    text = readFileSync(path, 'utf8');
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return [[], []];
    throw error;
  }
  try {
    const { checksum, ...body } = JSON.parse(text) as CacheFile;
    if (checksum !== checksumOf(body) || body.descriptor !== descriptor) return [[], []];
    return [[...body.keys[0]], [...body.keys[1]]];
  } catch (error) {
    if (error instanceof SyntaxError || error instanceof TypeError) return [[], []];
    throw error;
  }
}

function checksumOf(body: object): string {
  return createHash('sha256').update(JSON.stringify(body)).digest('hex');
}
