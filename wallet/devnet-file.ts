/**
 * devnet.json: how every command finds a running devnet, its nodes and its accounts by name. The devnet writes it,
 * wallet, node and mine commands read it. It holds public play keys and the token of the control endpoint (mode 0600).
 * It lies at `<datadir>/devnet/<name>/devnet.json`, and everything else of that devnet lies in the same folder.
 */
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { defineNetwork, type NetworkName, networkByName } from '../consensus/params.ts';
import { CliError, Exit, readChainFile, usageError } from '../node/commands/cli.ts';
import { replaceFile } from './atomic-file.ts';
import { isName } from './names.ts';

export const DEVNET_SCHEMA = 1;
export const DEFAULT_DEVNET = 'default';

export interface DevnetNode {
  readonly name: string;
  readonly state: 'running' | 'stopped';
  /** Of the node's process; null while it is stopped. */
  readonly pid: number | null;
  /** `HOST:PORT`. */
  readonly rpc: string;
  /** `ws://HOST:PORT`, one for each listening address. */
  readonly listen: readonly string[];
  /** Path of the cookie file. */
  readonly cookie: string;
  readonly datadir: string;
}

/** A funded account whose keys are public by design. */
export interface DevnetAccount {
  readonly name: string;
  /** Its first receiving address, the one that was funded. */
  readonly address: string;
  readonly mnemonic: string;
  /** Path of its plain wallet file, marked `"devnet": true`. */
  readonly wallet: string;
}

export interface DevnetFile {
  readonly schema: typeof DEVNET_SCHEMA;
  readonly name: string;
  readonly network: NetworkName;
  /** Path of the file of that network, where it is no built-in one. */
  readonly chain?: string;
  readonly seed: number;
  /** Of the process behind `devnet up`: the devnet runs while this process lives. */
  readonly pid: number;
  readonly control: { readonly url: string; readonly token: string };
  readonly nodes: readonly DevnetNode[];
  readonly accounts: readonly DevnetAccount[];
  readonly faucet: DevnetAccount;
}

/** `<datadir>/devnet/<name>`. */
export function devnetFolder(datadir: string, name: string): string {
  return join(datadir, 'devnet', name);
}

export function devnetFilePath(datadir: string, name: string): string {
  return join(devnetFolder(datadir, name), 'devnet.json');
}

/** Path of an account's plain wallet file. */
export function devnetWalletPath(datadir: string, devnet: string, account: string): string {
  return join(devnetFolder(datadir, devnet), 'wallets', `${account}.json`);
}

/** Replaces the file in one step, readable by its owner only. */
export function writeDevnetFile(path: string, file: DevnetFile): void {
  replaceFile(path, `${JSON.stringify(file, null, 2)}\n`);
}

/** The file's content, or undefined if there is none. A file that cannot be used is an error that names it. */
export function readDevnetFile(path: string): DevnetFile | undefined {
  let text: string;
  try {
    text = readFileSync(path, 'utf8');
  } catch (error) {
    const code = (error as NodeJS.ErrnoException).code;
    if (code === 'ENOENT' || code === 'ENOTDIR') return undefined;
    throw new CliError(Exit.failed, 'devnet-file', `cannot read ${path}: ${(error as Error).message}`);
  }
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch {
    value = undefined;
  }
  const schema = (value as Partial<DevnetFile> | null | undefined)?.schema;
  if (typeof schema === 'number' && schema > DEVNET_SCHEMA) {
    throw new CliError(
      Exit.failed,
      'devnet-file',
      `${path} was written by a newer grapevine (schema ${schema}, this one reads ${DEVNET_SCHEMA})`,
      'use the newer version, or remove that devnet with it',
    );
  }
  defineNetworkOf(value);
  if (!isDevnetFile(value)) {
    throw new CliError(
      Exit.failed,
      'devnet-file',
      `${path} is damaged`,
      'stop that devnet, remove its folder and start it again',
    );
  }
  return value;
}

/** All devnets below a data directory, running or not, by name. */
export function listDevnets(datadir: string): readonly DevnetFile[] {
  let names: string[];
  try {
    names = readdirSync(join(datadir, 'devnet'));
  } catch (error) {
    const code = (error as NodeJS.ErrnoException).code;
    if (code === 'ENOENT' || code === 'ENOTDIR') return [];
    throw new CliError(
      Exit.failed,
      'devnet-file',
      `cannot read ${join(datadir, 'devnet')}: ${(error as Error).message}`,
    );
  }
  const files: DevnetFile[] = [];
  for (const name of names.filter(isName).sort()) {
    const file = readDevnetFile(devnetFilePath(datadir, name));
    if (file !== undefined) files.push(file);
  }
  return files;
}

/** True while the process behind `devnet up` lives. */
export function isRunning(devnet: DevnetFile): boolean {
  return processLives(devnet.pid);
}

export function runningDevnets(datadir: string): readonly DevnetFile[] {
  return listDevnets(datadir).filter(isRunning);
}

/** The devnet that is meant where none is named: the one called "default", else the only one; of none, undefined. */
export function currentDevnet(devnets: readonly DevnetFile[]): DevnetFile | undefined {
  const standard = devnets.find((devnet) => devnet.name === DEFAULT_DEVNET);
  if (standard !== undefined || devnets.length <= 1) return standard ?? devnets[0];
  throw usageError(
    `several devnets run: ${devnets.map((devnet) => devnet.name).join(', ')}`,
    `name one with its node: --node ${devnets[0]?.name}/${devnets[0]?.nodes[0]?.name ?? 'n0'}`,
  );
}

/** The node of that name, or a usage error that lists the names. */
export function findNode(devnet: DevnetFile, name: string): DevnetNode {
  const node = devnet.nodes.find((candidate) => candidate.name === name);
  if (node !== undefined) return node;
  throw usageError(
    `devnet "${devnet.name}" has no node "${name}"`,
    `its nodes are ${devnet.nodes.map((candidate) => candidate.name).join(', ')}`,
  );
}

/** The account of that name (the faucet included), or undefined. */
export function findDevnetAccount(devnet: DevnetFile, name: string): DevnetAccount | undefined {
  if (devnet.faucet.name === name) return devnet.faucet;
  return devnet.accounts.find((account) => account.name === name);
}

/** True if a process of that id exists, ours or not. */
export function processLives(pid: number): boolean {
  if (!Number.isSafeInteger(pid) || pid <= 0) return false;
  try {
    process.kill(pid, 0);
    return true;
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === 'EPERM';
  }
}

/** Makes the network of a devnet known to this process, where it is one of a chain file. */
function defineNetworkOf(value: unknown): void {
  if (!isRecord(value)) return;
  const { network, chain } = value;
  if (typeof network !== 'string' || typeof chain !== 'string' || networkByName(network) !== undefined) return;
  const params = readChainFile(chain);
  if (params.name === network) defineNetwork(params);
}

function isDevnetFile(value: unknown): value is DevnetFile {
  if (!isRecord(value) || value['schema'] !== DEVNET_SCHEMA) return false;
  const { name, network, seed, pid, control, nodes, accounts, faucet } = value;
  return (
    typeof name === 'string' &&
    typeof network === 'string' &&
    networkByName(network) !== undefined &&
    typeof seed === 'number' &&
    typeof pid === 'number' &&
    isRecord(control) &&
    hasTexts(control, ['url', 'token']) &&
    Array.isArray(nodes) &&
    nodes.every(isNode) &&
    Array.isArray(accounts) &&
    accounts.every(isAccount) &&
    isAccount(faucet)
  );
}

function isNode(value: unknown): value is DevnetNode {
  return (
    isRecord(value) &&
    hasTexts(value, ['name', 'rpc', 'cookie', 'datadir']) &&
    (value['state'] === 'running' || value['state'] === 'stopped') &&
    (value['pid'] === null || typeof value['pid'] === 'number') &&
    Array.isArray(value['listen']) &&
    value['listen'].every((url) => typeof url === 'string')
  );
}

function isAccount(value: unknown): value is DevnetAccount {
  return isRecord(value) && hasTexts(value, ['name', 'address', 'mnemonic', 'wallet']);
}

function isRecord(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

function hasTexts(value: Record<string, unknown>, names: readonly string[]): boolean {
  return names.every((name) => typeof value[name] === 'string');
}
