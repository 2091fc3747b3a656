/**
 * Wallet files: what they hold, how they are written and read. `README.md` has the format.
 *
 * The words are encrypted (scrypt, AES-256-GCM) and everything else in the file is authenticated with them; the extended
 * public key stands in the clear, so that addresses and balances need no password. The files of devnet accounts are
 * plain and say so: their keys are public, and accounts.ts refuses them anywhere else.
 */
import { createCipheriv, createDecipheriv, createHash, randomBytes, scrypt } from 'node:crypto';
import { closeSync, fstatSync, openSync, readFileSync } from 'node:fs';
import { type ChainParams, type NetworkName, networkByName } from '../consensus/params.ts';
import { CliError, Exit, usageError } from '../node/commands/cli.ts';
import { createFile, replaceFile } from './atomic-file.ts';
import type { AccountPublicKey } from './keys.ts';

const FORMAT = 'grapevine-wallet';
export const WALLET_VERSION = 1;

/** Cost of a guess: N = 2^17 takes 128 MB and about half a second. */
export interface ScryptCost {
  readonly n: number;
  readonly r: number;
  readonly p: number;
}
export const STRONG_COST: ScryptCost = { n: 2 ** 17, r: 8, p: 1 };
/** More than this no file may ask for: it would be a file made to use up our memory. */
const MAX_COST_BYTES = 2 ** 30;

interface EncryptedSecret extends ScryptCost {
  readonly kdf: 'scrypt';
  readonly salt: string;
  readonly cipher: 'aes-256-gcm';
  readonly nonce: string;
  /** Of the JSON text `{"mnemonic":"…"}`, with the 16 bytes of tag at its end. Hex, as salt and nonce. */
  readonly ciphertext: string;
}

interface PlainSecret {
  readonly mnemonic: string;
}

interface FileContent extends AccountPublicKey {
  readonly format: typeof FORMAT;
  readonly version: typeof WALLET_VERSION;
  readonly network: NetworkName;
  readonly devnet: boolean;
  readonly secret: EncryptedSecret | PlainSecret;
  /** sha256 of all the above as JSON: tells a damaged file from a wrong password. */
  readonly checksum: string;
}

/** A wallet as its file shows it without a password. */
export interface Wallet {
  readonly path: string;
  readonly params: ChainParams;
  /** The keys are public: of a devnet account. */
  readonly devnet: boolean;
  readonly publicKey: AccountPublicKey;
  readonly content: FileContent;
}

/** Writes a new encrypted wallet. Refuses to replace one. */
export async function createWallet(
  path: string,
  network: NetworkName,
  publicKey: AccountPublicKey,
  mnemonic: string,
  password: string,
  cost: ScryptCost = STRONG_COST,
): Promise<void> {
  const head = headOf(network, false, publicKey);
  const salt = randomBytes(16);
  const nonce = randomBytes(12);
  const shape = { kdf: 'scrypt', ...cost, salt: salt.toString('hex'), cipher: 'aes-256-gcm' } as const;
  const key = await deriveKey(password, salt, cost);
  const cipher = createCipheriv('aes-256-gcm', key, nonce).setAAD(authenticated(head, shape));
  const text = JSON.stringify({ mnemonic } satisfies PlainSecret);
  const ciphertext = Buffer.concat([cipher.update(text, 'utf8'), cipher.final(), cipher.getAuthTag()]);
  const secret = { ...shape, nonce: nonce.toString('hex'), ciphertext: ciphertext.toString('hex') };
  if (createFile(path, serialize({ ...head, secret }))) return;
  throw usageError(`there is a wallet at ${path} already`, 'choose another name: grapevine wallet new NAME');
}

/** Writes the plain wallet of a devnet account, over an earlier one. What the wallet remembers beside its file stays. */
export function writeDevnetWallet(
  path: string,
  network: NetworkName,
  publicKey: AccountPublicKey,
  mnemonic: string,
): void {
  replaceFile(path, serialize({ ...headOf(network, true, publicKey), secret: { mnemonic } }));
}

/** Reads a wallet. Undefined if there is none; CliError if the file is damaged, newer, or readable by others. */
export function readWallet(path: string): Wallet | undefined {
  const file = readOwnFile(path);
  if (file === undefined) return undefined;
  let value: unknown;
  try {
    value = JSON.parse(file.text);
  } catch {
    throw damaged(path);
  }
  const content = value as FileContent | null;
  if (content?.format !== FORMAT) throw damaged(path);
  if (typeof content.version === 'number' && content.version > WALLET_VERSION) {
    throw new CliError(
      Exit.failed,
      'wallet-newer',
      `${path} was written by a newer grapevine (version ${content.version}, this one reads ${WALLET_VERSION})`,
      'use the newer version',
    );
  }
  const { checksum, ...body } = content;
  if (checksum !== checksumOf(body)) throw damaged(path);
  const params = networkByName(content.network);
  if (params === undefined) {
    throw new CliError(
      Exit.failed,
      'wallet-network',
      `${path} belongs to the network "${content.network}", which is not known here`,
    );
  }
  if (!content.devnet && file.exposed) {
    throw new CliError(
      Exit.failed,
      'wallet-permissions',
      `${path} can be read by other users of this machine`,
      `make it yours alone, and move the money if somebody may have copied it: chmod 600 ${path}`,
    );
  }
  const { fingerprint, path: keyPath, xpub } = content;
  return { path, params, devnet: content.devnet, publicKey: { fingerprint, path: keyPath, xpub }, content };
}

/** The words of a devnet account: they are no secret. Undefined where a password is needed. */
export function plainMnemonic(wallet: Wallet): string | undefined {
  return 'mnemonic' in wallet.content.secret ? wallet.content.secret.mnemonic : undefined;
}

/** The words of an encrypted wallet. Throws CliError "wrong-password". */
export async function decryptMnemonic(wallet: Wallet, password: string): Promise<string> {
  const { secret, checksum: _, ...head } = wallet.content;
  if ('mnemonic' in secret) return secret.mnemonic;
  const { nonce, ciphertext, ...shape } = secret;
  if (128 * shape.n * shape.r * shape.p > MAX_COST_BYTES) throw damaged(wallet.path);
  const key = await deriveKey(password, Buffer.from(shape.salt, 'hex'), shape);
  const sealed = Buffer.from(ciphertext, 'hex');
  const decipher = createDecipheriv('aes-256-gcm', key, Buffer.from(nonce, 'hex'), { authTagLength: TAG_BYTES })
    .setAAD(authenticated(head, shape))
    .setAuthTag(sealed.subarray(-TAG_BYTES));
  let text: string;
  try {
    text = decipher.update(sealed.subarray(0, -TAG_BYTES), undefined, 'utf8') + decipher.final('utf8');
  } catch {
    // The file is whole (its checksum holds), so the key is the wrong one.
    throw new CliError(
      Exit.failed,
      'wrong-password',
      'the password is wrong',
      'the words of the wallet restore it without the password',
    );
  }
  return (JSON.parse(text) as PlainSecret).mnemonic;
}

/** Where the wallet at `path` keeps what it remembers: `alice.json` → `alice.state.json`. */
export function statePath(path: string): string {
  return path.replace(/\.json$/, '.state.json');
}

const TAG_BYTES = 16;

type Head = Omit<FileContent, 'secret' | 'checksum'>;

function headOf(network: NetworkName, devnet: boolean, publicKey: AccountPublicKey): Head {
  const { fingerprint, path, xpub } = publicKey;
  return { format: FORMAT, version: WALLET_VERSION, network, devnet, fingerprint, path, xpub };
}

/** All of the file that is not encrypted, in a fixed order: it cannot be exchanged without the password. */
function authenticated(head: Head, shape: Omit<EncryptedSecret, 'nonce' | 'ciphertext'>): Buffer {
  const { format, version, network, devnet, fingerprint, path, xpub } = head;
  const { kdf, n, r, p, salt, cipher } = shape;
  return Buffer.from(
    JSON.stringify([format, version, network, devnet, fingerprint, path, xpub, kdf, n, r, p, salt, cipher]),
  );
}

function serialize(body: Omit<FileContent, 'checksum'>): string {
  return `${JSON.stringify({ ...body, checksum: checksumOf(body) }, null, 2)}\n`;
}

function checksumOf(body: object): string {
  return createHash('sha256').update(JSON.stringify(body)).digest('hex');
}

function deriveKey(password: string, salt: Buffer, { n, r, p }: ScryptCost): Promise<Buffer> {
  const maxmem = 256 * n * r + 2 ** 20;
  return new Promise((resolve, reject) => {
    scrypt(password.normalize('NFKC'), salt, 32, { N: n, r, p, maxmem }, (error, key) =>
      error === null ? resolve(key) : reject(error),
    );
  });
}

/** The text of a file and whether others than its owner can read it; undefined if there is no file. */
function readOwnFile(path: string): { readonly text: string; readonly exposed: boolean } | undefined {
  let handle: number;
  try {
    handle = openSync(path, 'r');
  } catch (error) {
    const { code, message } = error as NodeJS.ErrnoException;
    if (code === 'ENOENT' || code === 'ENOTDIR') return undefined;
    throw new CliError(Exit.failed, 'wallet-unreadable', `cannot read the wallet: ${message}`);
  }
  try {
    // Windows has no such bits.
    const exposed = process.platform !== 'win32' && (fstatSync(handle).mode & 0o077) !== 0;
    return { text: readFileSync(handle, 'utf8'), exposed };
  } finally {
    closeSync(handle);
  }
}

function damaged(path: string): CliError {
  return new CliError(
    Exit.failed,
    'wallet-damaged',
    `${path} is damaged, or no wallet`,
    'take it from a backup; the words of the wallet restore it too',
  );
}
