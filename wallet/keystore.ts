/**
 * Wallet files: what they hold, how they are written and read. `README.md` has the format.
 *
 * The words are encrypted (scrypt, AES-256-GCM) and everything else in the file is authenticated with them; the extended
 * public key stands in the clear, so that addresses and balances need no password. A watch-only wallet holds a public
 * descriptor and no secret. The files of devnet accounts are plain and say so: their keys are public, and accounts.ts
 * refuses them anywhere else.
 */
import { createCipheriv, createDecipheriv, createHash, randomBytes, scrypt } from 'node:crypto';
import { closeSync, constants, fstatSync, openSync, readFileSync } from 'node:fs';
import { type ChainParams, type NetworkName, networkByName } from '../consensus/params.ts';
import { CliError, Exit, usageError } from '../node/commands/cli.ts';
import { createFile, replaceFile } from './atomic-file.ts';
import { type AccountPublicKey, accountDescriptor, type Descriptor } from './key-place.ts';

const FORMAT = 'grapevine-wallet';
/** Version 1 had neither passphrases nor watch-only wallets. Both are read. */
export const WALLET_VERSION = 2;
/** A wallet file has about a thousand bytes. */
const MAX_FILE_BYTES = 100_000;

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
  /** Of the JSON text of a `WalletSecret`, with the 16 bytes of tag at its end. Hex, as salt and nonce. */
  readonly ciphertext: string;
}

/** What all keys of a wallet are made of. */
export interface WalletSecret {
  readonly mnemonic: string;
  /** BIP 39's, which belongs to the words. Left out where there is none. */
  readonly passphrase?: string;
}

interface CommonContent {
  readonly format: typeof FORMAT;
  readonly version: 1 | typeof WALLET_VERSION;
  readonly network: NetworkName;
  readonly devnet: boolean;
  /** sha256 of all the above as JSON: tells a damaged file from a wrong password. */
  readonly checksum: string;
}

interface SpendingContent extends CommonContent, AccountPublicKey {
  readonly secret: EncryptedSecret | WalletSecret;
}

interface WatchContent extends CommonContent {
  /** What it watches. */
  readonly descriptor: Descriptor;
}

/** A wallet as its file shows it without a password. */
export interface Wallet {
  readonly path: string;
  readonly params: ChainParams;
  /** The keys are public: of a devnet account. */
  readonly devnet: boolean;
  /** It has no secret keys: it shows addresses and coins, and cannot sign. */
  readonly watchOnly: boolean;
  /** All of its addresses. */
  readonly descriptor: Descriptor;
  readonly content: SpendingContent | WatchContent;
}

/** Writes a new encrypted wallet. Refuses to replace one. */
export async function createWallet(
  path: string,
  network: NetworkName,
  publicKey: AccountPublicKey,
  secret: WalletSecret,
  password: string,
  cost: ScryptCost = STRONG_COST,
): Promise<void> {
  const head = headOf(network, false, publicKey);
  const salt = randomBytes(16);
  const nonce = randomBytes(12);
  const shape = { kdf: 'scrypt', ...cost, salt: salt.toString('hex'), cipher: 'aes-256-gcm' } as const;
  const key = await deriveKey(password, salt, cost);
  const cipher = createCipheriv('aes-256-gcm', key, nonce).setAAD(authenticated(head, shape));
  const ciphertext = Buffer.concat([
    cipher.update(JSON.stringify(secret), 'utf8'),
    cipher.final(),
    cipher.getAuthTag(),
  ]);
  const sealed = { ...shape, nonce: nonce.toString('hex'), ciphertext: ciphertext.toString('hex') };
  addFile(path, serialize({ ...head, secret: sealed }));
}

/** Writes a new watch-only wallet. Refuses to replace one. */
export function createWatchWallet(path: string, network: NetworkName, descriptor: Descriptor): void {
  const head = { format: FORMAT, version: WALLET_VERSION, network, devnet: false } as const;
  const { origin, key, chains, ranged } = descriptor;
  addFile(path, serialize({ ...head, descriptor: { origin, key, chains, ranged } }));
}

/** Puts a wallet that was read elsewhere at `path`, byte for byte. Refuses to replace one. */
export function addWalletCopy(path: string, wallet: Wallet): void {
  const { checksum: _, ...body } = wallet.content;
  addFile(path, serialize(body));
}

function addFile(path: string, text: string): void {
  if (createFile(path, text)) return;
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
  const content = parseContent(path, file.text);
  const params = networkByName(content.network);
  if (params === undefined) {
    throw new CliError(
      Exit.failed,
      'wallet-network',
      `${path} belongs to the network "${content.network}", which is not known here`,
      'name the file of that network: --chain FILE',
    );
  }
  const watchOnly = 'descriptor' in content;
  if (!content.devnet && file.exposed) {
    throw new CliError(
      Exit.failed,
      'wallet-permissions',
      `${path} can be read by other users of this machine`,
      `make it yours alone${watchOnly ? '' : ', and move the money if somebody may have copied it'}: chmod 600 ${path}`,
    );
  }
  const descriptor = watchOnly ? content.descriptor : accountDescriptor(content);
  return { path, params, devnet: content.devnet, watchOnly, descriptor, content };
}

function parseContent(path: string, text: string): SpendingContent | WatchContent {
  if (text.trim() === '') throw damaged(path, 'it is empty');
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch {
    throw damaged(path, `its ${text.length} characters are no JSON: it was cut or overwritten`);
  }
  const content = value as SpendingContent | WatchContent | null;
  if (content?.format !== FORMAT) throw damaged(path, 'it is no wallet file');
  if (typeof content.version === 'number' && content.version > WALLET_VERSION) {
    throw new CliError(
      Exit.failed,
      'wallet-newer',
      `${path} was written by a newer grapevine (version ${content.version}, this one reads ${WALLET_VERSION})`,
      'use the newer version',
    );
  }
  const { checksum, ...body } = content;
  if (checksum !== checksumOf(body)) throw damaged(path, 'its checksum does not match: some of it was changed');
  const wrong = wrongField(content);
  if (wrong !== undefined) throw damaged(path, `"${wrong}" is not what it should be`);
  return content;
}

/** The first field that is missing or of the wrong kind. Its checksum holds, so somebody wrote the file like that. */
function wrongField(content: SpendingContent | WatchContent): string | undefined {
  const isText = (object: object, name: string) => typeof (object as Record<string, unknown>)[name] === 'string';
  if (typeof content.version !== 'number' || content.version < 1) return 'version';
  if (!isText(content, 'network')) return 'network';
  if (typeof content.devnet !== 'boolean') return 'devnet';
  if ('descriptor' in content) return isDescriptor(content.descriptor) ? undefined : 'descriptor';
  const missing = ['fingerprint', 'path', 'xpub'].find((name) => !isText(content, name));
  if (missing !== undefined) return missing;
  const secret: unknown = content.secret;
  if (typeof secret !== 'object' || secret === null) return 'secret';
  // Only a devnet account's words stand in the clear.
  if ('mnemonic' in secret) return content.devnet && isText(secret, 'mnemonic') ? undefined : 'secret';
  const { kdf, n, r, p, salt, cipher, nonce, ciphertext } = secret as EncryptedSecret;
  const isCost = [n, r, p].every((cost) => Number.isSafeInteger(cost) && cost > 0) && Number.isInteger(Math.log2(n));
  if (kdf !== 'scrypt' || !isCost || n < 2 || 128 * n * r * p > MAX_COST_BYTES) return 'kdf';
  if (cipher !== 'aes-256-gcm') return 'cipher';
  const isHex = (text: unknown, atLeast: number) =>
    typeof text === 'string' && text.length >= 2 * atLeast && /^([0-9a-f]{2})*$/.test(text);
  if (!isHex(salt, 16)) return 'salt';
  if (!isHex(nonce, 12)) return 'nonce';
  return isHex(ciphertext, TAG_BYTES) ? undefined : 'ciphertext';
}

function isDescriptor(value: unknown): value is Descriptor {
  if (typeof value !== 'object' || value === null) return false;
  const { origin, key, chains, ranged } = value as Partial<Descriptor>;
  const isOrigin = origin === undefined || (typeof origin.fingerprint === 'string' && typeof origin.path === 'string');
  const isKey = key?.type === 'extended' ? typeof key.xpub === 'string' : typeof key?.key === 'string';
  const isSteps = (steps: unknown) => Array.isArray(steps) && steps.every((step) => Number.isSafeInteger(step));
  const isChains = Array.isArray(chains) && (chains.length === 1 || chains.length === 2) && chains.every(isSteps);
  return isOrigin && isKey && isChains && typeof ranged === 'boolean';
}

/** The secret of a devnet account, which is none. Undefined where a password is needed. */
export function plainSecret({ content }: Wallet): WalletSecret | undefined {
  return 'secret' in content && 'mnemonic' in content.secret ? content.secret : undefined;
}

/** The secret of an encrypted wallet. Throws CliError "wrong-password". */
export async function decryptSecret(wallet: Wallet, password: string): Promise<WalletSecret> {
  const secret = openSecret(wallet, await keyOfPassword(wallet, password));
  if (secret !== undefined) return secret;
  throw wrongPassword();
}

/** What it means that `openSecret` does not open: the file is whole (its checksum holds), so the key is the wrong one. */
export function wrongPassword(): CliError {
  return new CliError(
    Exit.failed,
    'wrong-password',
    'the password is wrong',
    'the words of the wallet restore it without the password: grapevine wallet import',
  );
}

/** The 32 bytes that encrypt a wallet's secret. They open this file and no other. Takes half a second. */
export function keyOfPassword(wallet: Wallet, password: string): Promise<Buffer> {
  const secret = sealedSecret(wallet);
  return deriveKey(password, Buffer.from(secret.salt, 'hex'), secret);
}

/** The secret of an encrypted wallet by the key of its password; undefined if the key is another's. */
export function openSecret(wallet: Wallet, key: Uint8Array): WalletSecret | undefined {
  const { secret: _, checksum: __, ...head } = wallet.content as SpendingContent;
  const { nonce, ciphertext, ...shape } = sealedSecret(wallet);
  const sealed = Buffer.from(ciphertext, 'hex');
  const decipher = createDecipheriv('aes-256-gcm', key, Buffer.from(nonce, 'hex'), { authTagLength: TAG_BYTES })
    .setAAD(authenticated(head, shape))
    .setAuthTag(sealed.subarray(-TAG_BYTES));
  let text: string;
  try {
    text = decipher.update(sealed.subarray(0, -TAG_BYTES), undefined, 'utf8') + decipher.final('utf8');
  } catch {
    return undefined;
  }
  return JSON.parse(text) as WalletSecret;
}

function sealedSecret({ path, content }: Wallet): EncryptedSecret {
  if (!('secret' in content) || 'mnemonic' in content.secret) throw new Error(`${path} has nothing encrypted`);
  return content.secret;
}

/** Where the wallet at `path` keeps what it remembers: `alice.json` → `alice.state.json`. */
export function statePath(path: string): string {
  return path.replace(/\.json$/, '.state.json');
}

const TAG_BYTES = 16;

type Head = Omit<SpendingContent, 'secret' | 'checksum'>;

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

function serialize(body: Omit<SpendingContent, 'checksum'> | Omit<WatchContent, 'checksum'>): string {
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
    // A pipe in its place is opened at once and refused below, not waited for.
    handle = openSync(path, constants.O_RDONLY | (constants.O_NONBLOCK ?? 0));
  } catch (error) {
    const { code, message } = error as NodeJS.ErrnoException;
    if (code === 'ENOENT' || code === 'ENOTDIR') return undefined;
    throw new CliError(Exit.failed, 'wallet-unreadable', `cannot read the wallet: ${message}`);
  }
  try {
    if (!fstatSync(handle).isFile()) throw new CliError(Exit.failed, 'wallet-unreadable', `${path} is no file`);
    // Windows has no such bits.
    const exposed = process.platform !== 'win32' && (fstatSync(handle).mode & 0o077) !== 0;
    if (fstatSync(handle).size > MAX_FILE_BYTES) throw damaged(path, `it has more than ${MAX_FILE_BYTES} bytes`);
    return { text: readFileSync(handle, 'utf8'), exposed };
  } finally {
    closeSync(handle);
  }
}

function damaged(path: string, reason: string): CliError {
  return new CliError(
    Exit.failed,
    'wallet-damaged',
    `${path} is damaged: ${reason}`,
    'take it from a backup; the words of the wallet restore it too',
  );
}
