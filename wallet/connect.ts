/**
 * Finds the node that a command talks to: the one named with --node, else the first running node of the running devnet,
 * else the one whose cookie lies in the data directory, at the default port. Checks which network it is on.
 */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { type ChainParams, type NetworkName, networkByName } from '../consensus/params.ts';
import { CliError, Exit, type GlobalOptions, usageError } from '../node/commands/cli.ts';
import {
  currentDevnet,
  type DevnetFile,
  type DevnetNode,
  devnetFilePath,
  findNode,
  isRunning,
  listDevnets,
  readDevnetFile,
} from './devnet-file.ts';
import { isName } from './names.ts';
import { parseEndpoint, RpcClient, type RpcTarget } from './rpc-client.ts';

/** Where to connect, found in files only. */
export interface NodeTarget extends RpcTarget {
  /** The devnet that the node belongs to, if it does. */
  readonly devnet: DevnetFile | undefined;
  /** The node's name in its devnet. */
  readonly name: string | undefined;
}

/** A node that answered. */
export interface Connection {
  readonly client: RpcClient;
  readonly params: ChainParams;
  readonly devnet: DevnetFile | undefined;
  /** For messages: the node's name in its devnet, or HOST:PORT. */
  readonly label: string;
  /** `getblockchaininfo` as it was when we connected. */
  readonly tip: { readonly height: number; readonly hash: string };
}

/**
 * Finds the node, asks it for its tip and checks that it is on `network` (or on any that we know).
 * Close `client` when done. Throws CliError with exit 2 (bad --node) or 3 (no node, wrong cookie, other network).
 */
export async function connect(options: GlobalOptions, network?: NetworkName): Promise<Connection> {
  const target = findTarget(options, network ?? 'regtest');
  const client = new RpcClient(target);
  try {
    const info = (await client.call('getblockchaininfo')) as Record<string, unknown>;
    const { chain, blocks, bestblockhash } = info;
    const params = typeof chain === 'string' ? networkByName(chain) : undefined;
    const label = target.name ?? target.endpoint;
    if (params === undefined || (network !== undefined && params.name !== network)) {
      throw wrongNetwork(label, String(chain), network);
    }
    if (typeof blocks !== 'number' || typeof bestblockhash !== 'string') {
      throw new CliError(Exit.unreachable, 'not-a-node', `what answers at ${target.endpoint} is no node`);
    }
    return { client, params, devnet: target.devnet, label, tip: { height: blocks, hash: bestblockhash } };
  } catch (error) {
    client.close();
    throw error;
  }
}

/** As `connect`, but undefined where no node runs (exit 3) and none was named: for commands that can do without. */
export async function connectIfRunning(options: GlobalOptions, network?: NetworkName): Promise<Connection | undefined> {
  try {
    return await connect(options, network);
  } catch (error) {
    const absent = error instanceof CliError && (error.code === 'node-unreachable' || error.code === 'no-node');
    if (absent && options.node === undefined) return undefined;
    throw error;
  }
}

/** The node that is meant, without talking to it. Reads devnet.json files and the cookie. */
export function findTarget(options: GlobalOptions, network: NetworkName): NodeTarget {
  if (options.node === undefined) return defaultTarget(options.datadir, network);
  if (options.node.includes('://')) return endpointTarget(options.datadir, network, endpointOfUrl(options.node));
  if (options.node.includes(':')) return endpointTarget(options.datadir, network, options.node);
  return namedTarget(options.datadir, options.node);
}

function defaultTarget(datadir: string, network: NetworkName): NodeTarget {
  const devnet = currentDevnet(listDevnets(datadir).filter(isRunning));
  if (devnet !== undefined) {
    const node = devnet.nodes.find((candidate) => candidate.state === 'running');
    if (node !== undefined) return devnetTarget(devnet, node);
    throw new CliError(
      Exit.unreachable,
      'no-node',
      `no node of devnet "${devnet.name}" runs`,
      `restart one: grapevine devnet restart ${devnet.nodes[0]?.name ?? 'n0'}`,
    );
  }
  const cookieFile = join(datadir, network, '.cookie');
  const credentials = readCookie(cookieFile);
  const port = (networkByName(network) as ChainParams).defaultRpcPort;
  const hint = 'start a network with "grapevine devnet up", or a node with "grapevine node"';
  if (credentials === undefined) {
    const message = `no node runs: there is no devnet below ${datadir} and no cookie at ${cookieFile}`;
    throw new CliError(Exit.unreachable, 'no-node', message, hint);
  }
  return { endpoint: `127.0.0.1:${port}`, credentials, cookieFile, hint, devnet: undefined, name: undefined };
}

/** `n1` is a node of the current devnet, `NAME/n1` one of another. */
function namedTarget(datadir: string, text: string): NodeTarget {
  const [first, second, ...rest] = text.split('/');
  const [devnetName, nodeName] = second === undefined ? [undefined, first] : [first, second];
  if (nodeName === undefined || !isName(nodeName) || rest.length > 0 || devnetName === '') {
    throw usageError(`"${text}" names no node`, 'use a node of the devnet (n0), HOST:PORT or http://HOST:PORT');
  }
  const devnet = devnetName === undefined ? undefined : readDevnetFile(devnetFilePath(datadir, devnetName));
  if (devnetName !== undefined && devnet === undefined) {
    throw usageError(`there is no devnet "${devnetName}" in ${datadir}`, namesHint(listDevnets(datadir)));
  }
  const chosen = devnet ?? currentDevnet(listDevnets(datadir).filter(isRunning));
  if (chosen === undefined) {
    throw new CliError(
      Exit.unreachable,
      'no-node',
      `no devnet runs, so there is no node "${nodeName}"`,
      'start one with "grapevine devnet up", or give HOST:PORT',
    );
  }
  const node = findNode(chosen, nodeName);
  if (!isRunning(chosen)) {
    throw new CliError(
      Exit.unreachable,
      'no-node',
      `devnet "${chosen.name}" does not run`,
      'start it with "grapevine devnet up"',
    );
  }
  return devnetTarget(chosen, node);
}

function devnetTarget(devnet: DevnetFile, node: DevnetNode): NodeTarget {
  if (node.state === 'stopped') {
    throw new CliError(
      Exit.unreachable,
      'node-stopped',
      `node ${node.name} of devnet "${devnet.name}" is stopped`,
      `start it again: grapevine devnet restart ${node.name}`,
    );
  }
  return {
    endpoint: node.rpc,
    credentials: readCookie(node.cookie),
    cookieFile: node.cookie,
    hint: `see "grapevine devnet status"; restart it with "grapevine devnet restart ${node.name}"`,
    devnet,
    name: node.name,
  };
}

/** A node of a running devnet is recognised by its endpoint; any other has its cookie in the data directory. */
function endpointTarget(datadir: string, network: NetworkName, endpoint: string): NodeTarget {
  parseEndpoint(endpoint);
  for (const devnet of listDevnets(datadir).filter(isRunning)) {
    const node = devnet.nodes.find((candidate) => sameEndpoint(candidate.rpc, endpoint));
    if (node !== undefined) return devnetTarget(devnet, node);
  }
  const cookieFile = join(datadir, network, '.cookie');
  return { endpoint, credentials: readCookie(cookieFile), cookieFile, devnet: undefined, name: undefined };
}

function endpointOfUrl(text: string): string {
  let url: URL;
  try {
    url = new URL(text);
  } catch {
    throw usageError(`"${text}" is no URL`, 'for example --node http://127.0.0.1:18443');
  }
  if (url.protocol !== 'http:') {
    throw usageError(
      `a node is reached by http, not by ${url.protocol.slice(0, -1)}`,
      'give its RPC address, not its peer address',
    );
  }
  if (url.username !== '' || url.password !== '') {
    throw usageError(
      'a password on the command line can be read by everybody on this machine',
      'give the data directory of the node with --datadir; its cookie is read from there',
    );
  }
  if (url.pathname !== '/' || url.search !== '' || url.hash !== '')
    throw usageError(`"${text}" is more than a node's address`);
  return `${url.hostname}:${url.port === '' ? '80' : url.port}`;
}

function sameEndpoint(a: string, b: string): boolean {
  const plain = (endpoint: string) => endpoint.toLowerCase().replace(/^localhost:/, '127.0.0.1:');
  return plain(a) === plain(b);
}

/** `user:password` of a cookie file; undefined where there is none. */
function readCookie(path: string): string | undefined {
  try {
    return readFileSync(path, 'utf8').trim();
  } catch (error) {
    const { code, message } = error as NodeJS.ErrnoException;
    if (code === 'ENOENT' || code === 'ENOTDIR') return undefined;
    throw new CliError(
      Exit.unreachable,
      'not-authorised',
      `cannot read the cookie: ${message}`,
      'only the user who runs the node may read it',
    );
  }
}

function namesHint(devnets: readonly DevnetFile[]): string {
  return devnets.length === 0
    ? 'start one with "grapevine devnet up"'
    : `there is ${devnets.map((d) => d.name).join(', ')}`;
}

function wrongNetwork(label: string, chain: string, wanted: NetworkName | undefined): CliError {
  return new CliError(
    Exit.unreachable,
    'wrong-network',
    wanted === undefined
      ? `the node at ${label} is on the network "${chain}", which is not known here`
      : `the node at ${label} is on the network "${chain}", and "${wanted}" is wanted`,
    'name another node with --node',
  );
}
