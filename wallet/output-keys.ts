/**
 * The output keys of a wallet's addresses by index, remembered in a file beside the wallet: deriving one takes two
 * milliseconds, and looking up a wallet takes forty. The file serves look-ups only. It can be removed at any time, and an
 * address that is shown or gets change is always derived anew, so that a changed file cannot divert money.
 */
import { createHash } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { bytesToHex, hexToBytes } from '#hash';
import type { Bytes } from '../consensus/brand.ts';
import { CliError } from '../node/commands/cli.ts';
import { replaceFile } from './atomic-file.ts';
import type { KeyChain, KeyPlace } from './key-place.ts';
import type { AccountAddresses } from './keys.ts';
import type { Wallet } from './keystore.ts';

interface CacheFile {
  readonly xpub: string;
  /** Output keys of the external and the internal chain, from index 0, in hex. */
  readonly keys: readonly [readonly string[], readonly string[]];
  /** sha256 of the above as JSON. */
  readonly checksum: string;
}

export class OutputKeys {
  readonly #wallet: Wallet;
  readonly #path: string;
  readonly #known: readonly [string[], string[]];
  #addresses: AccountAddresses | undefined;
  #changed = false;

  constructor(wallet: Wallet) {
    this.#wallet = wallet;
    this.#path = wallet.path.replace(/\.json$/, '.addresses.json');
    this.#known = readCache(this.#path, wallet.publicKey.xpub);
  }

  /** Output keys of the indexes from `from` up to but not with `to`, for look-ups. */
  async range(chain: KeyChain, from: number, to: number): Promise<readonly Bytes[]> {
    const known = this.#known[chain];
    for (let index = known.length; index < to; index++) {
      known.push(bytesToHex(await this.derive({ chain, index })));
      this.#changed = true;
    }
    return known.slice(from, to).map(hexToBytes);
  }

  /** The output key at a place, derived from the wallet's extended public key. */
  async derive(place: KeyPlace): Promise<Bytes> {
    this.#addresses ??= await load(this.#wallet);
    return this.#addresses.outputKey(place);
  }

  /** Remembers what was derived. In a folder that cannot be written to nothing is remembered: that costs time only. */
  save(): void {
    if (!this.#changed) return;
    const body = { xpub: this.#wallet.publicKey.xpub, keys: this.#known };
    try {
      replaceFile(this.#path, `${JSON.stringify({ ...body, checksum: checksumOf(body) } satisfies CacheFile)}\n`);
    } catch (error) {
      if (!(error instanceof CliError)) throw error;
    }
    this.#changed = false;
  }
}

async function load(wallet: Wallet): Promise<AccountAddresses> {
  const { AccountAddresses } = await import('./keys.ts');
  const addresses = AccountAddresses.fromPublicKey(wallet.publicKey, wallet.params);
  if (!addresses.ok) throw new Error(`${wallet.path} holds ${addresses.error}`);
  return addresses.value;
}

/** A file that is missing, damaged or another wallet's counts as empty: everything in it can be derived. */
function readCache(path: string, xpub: string): readonly [string[], string[]] {
  let text: string;
  try {
    text = readFileSync(path, 'utf8');
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return [[], []];
    throw error;
  }
  try {
    const { checksum, ...body } = JSON.parse(text) as CacheFile;
    if (checksum !== checksumOf(body) || body.xpub !== xpub) return [[], []];
    return [[...body.keys[0]], [...body.keys[1]]];
  } catch (error) {
    if (error instanceof SyntaxError || error instanceof TypeError) return [[], []];
    throw error;
  }
}

function checksumOf(body: object): string {
  return createHash('sha256').update(JSON.stringify(body)).digest('hex');
}
