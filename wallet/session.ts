/**
 * Unlocked wallets: for a while after `wallet unlock` commands need no password. The key of the wallet file is then in the
 * memory of a process of its own (session-agent.ts), and nowhere on the disk. README.md says what that protects from.
 */
import { spawn } from 'node:child_process';
import { createHash } from 'node:crypto';
import { lstatSync, readdirSync, realpathSync, rmSync } from 'node:fs';
import { connect } from 'node:net';
import { tmpdir } from 'node:os';
import { isAbsolute, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { CliError, Exit } from '../node/commands/cli.ts';
import { makeFolder } from './atomic-file.ts';
import { openSecret, type Wallet, type WalletSecret } from './keystore.ts';
import { KEY, LOCK, type SessionAnswer, type SessionRequest, STATUS } from './session-agent.ts';

const OWNER_ONLY_FOLDER = 0o700;
/** Unix sockets have short names: 108 bytes on Linux, 104 on macOS. */
const MAX_SOCKET_PATH = 103;
const ANSWER_TIMEOUT_MS = 2_000;
const MAX_ANSWER_BYTES = 1_000;

/** Starts the process that keeps the key, and comes back when it answers. */
export type SessionLauncher = (request: SessionRequest) => Promise<void>;

/** Until when the wallet is unlocked, in milliseconds since 1970; undefined if it is locked. */
export async function sessionEnd(wallet: Wallet): Promise<number | undefined> {
  return (await ask(wallet, STATUS))?.expiresAtMs;
}

/** The secret of a wallet that is unlocked; undefined if it is locked, or if its file is another one by now. */
export async function sessionSecret(wallet: Wallet): Promise<WalletSecret | undefined> {
  const answer = await ask(wallet, KEY);
  if (answer?.key === undefined || !/^[0-9a-f]{64}$/.test(answer.key)) return undefined;
  return openSecret(wallet, Buffer.from(answer.key, 'hex'));
}

/** Unlocks a wallet with the key of its password. An earlier session of it ends. */
export async function startSession(
  wallet: Wallet,
  key: Uint8Array,
  expiresAtMs: number,
  launch: SessionLauncher = launchProcess,
): Promise<void> {
  if (process.platform === 'win32') {
    throw new CliError(
      Exit.failed,
      'unlock-unsupported',
      'wallets cannot be unlocked on Windows',
      'give the password with --password-file or in GRAPEVINE_PASSWORD',
    );
  }
  await endSession(wallet);
  const folder = sessionFolder();
  makeFolder(folder, OWNER_ONLY_FOLDER);
  const socket = socketOf(wallet);
  if (!isOwnFolder(folder) || Buffer.byteLength(socket) > MAX_SOCKET_PATH) {
    throw new CliError(
      Exit.failed,
      'unlock-folder',
      `${folder} cannot hold the socket of an unlocked wallet: it is not yours alone, or its name is too long`,
      'set XDG_RUNTIME_DIR to a folder of mode 0700',
    );
  }
  rmSync(socket, { force: true });
  await launch({ socket, key: Buffer.from(key).toString('hex'), expiresAtMs });
}

/** Locks a wallet. False if it was locked. */
export async function endSession(wallet: Wallet): Promise<boolean> {
  return (await ask(wallet, LOCK)) !== undefined;
}

/** Locks every wallet of this user; returns how many were unlocked. */
export async function endAllSessions(): Promise<number> {
  const folder = sessionFolder();
  if (!isOwnFolder(folder)) return 0;
  const sockets = readdirSync(folder).filter((name) => name.endsWith('.sock'));
  const answers = await Promise.all(sockets.map((name) => exchange(join(folder, name), LOCK)));
  return answers.filter((answer) => answer !== undefined).length;
}

function sessionFolder(): string {
  const runtime = process.env['XDG_RUNTIME_DIR'];
  if (runtime !== undefined && isAbsolute(runtime)) return join(runtime, 'grapevine');
  return join(tmpdir(), `grapevine-${process.getuid?.() ?? 0}`);
}

/** Ours, and nobody else may look in: a socket in it is answered by our own process. */
function isOwnFolder(path: string): boolean {
  const status = lstatSync(path, { throwIfNoEntry: false });
  return status?.isDirectory() === true && status.uid === process.getuid?.() && (status.mode & 0o077) === 0;
}

function socketOf({ path }: Wallet): string {
  const name = createHash('sha256').update(realpathSync(path)).digest('hex').slice(0, 16);
  return join(sessionFolder(), `${name}.sock`);
}

async function ask(wallet: Wallet, request: string): Promise<SessionAnswer | undefined> {
  return isOwnFolder(sessionFolder()) ? exchange(socketOf(wallet), request) : undefined;
}

/** Undefined where nothing listens, as after the time-out. */
function exchange(path: string, request: string): Promise<SessionAnswer | undefined> {
  return new Promise((resolve) => {
    const socket = connect(path);
    let text = '';
    socket.setEncoding('utf8');
    socket.setTimeout(ANSWER_TIMEOUT_MS, () => socket.destroy());
    socket.on('connect', () => socket.write(`${request}\n`));
    socket.on('data', (part: string) => {
      text += part;
      if (text.length > MAX_ANSWER_BYTES) socket.destroy();
    });
    // No file, nobody behind it, or an agent that ended meanwhile: all mean that the wallet is locked.
    socket.on('error', () => socket.destroy());
    socket.on('close', () => resolve(readAnswer(text)));
  });
}

function readAnswer(text: string): SessionAnswer | undefined {
  if (!text.endsWith('\n')) return undefined;
  try {
    return JSON.parse(text) as SessionAnswer;
  } catch {
    return undefined;
  }
}

const launchProcess: SessionLauncher = async (request) => {
  const here = import.meta.url;
  const script = here.endsWith('.ts') ? '../dist/wallet/session-process.js' : './session-process.js';
  const child = spawn(process.execPath, [fileURLToPath(new URL(script, here))], {
    cwd: '/',
    // Neither a password nor a mnemonic of our environment is for a process that outlives the command.
    env: {},
    detached: true,
    stdio: ['pipe', 'pipe', 'ignore'],
  });
  const isReady = new Promise<boolean>((resolve) => {
    child.on('error', () => resolve(false));
    child.stdout.on('data', () => resolve(true));
    child.stdout.on('close', () => resolve(false));
  });
  // A child that could not start reads nothing: `isReady` tells.
  child.stdin.on('error', () => undefined);
  child.stdin.end(JSON.stringify(request));
  const ready = await isReady;
  child.stdout.destroy();
  child.unref();
  if (!ready) throw new CliError(Exit.failed, 'unlock-failed', 'the process that keeps the key did not start');
};
