/** A data directory with a running devnet in it, whose nodes are fake ones of this process. */
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { encodeAddress, p2trScript } from '../../consensus/address.ts';
import { regtest } from '../../consensus/params.ts';
import { GAP_LIMIT } from '../../wallet/address-walk.ts';
import {
  DEVNET_SCHEMA,
  type DevnetAccount,
  type DevnetFile,
  devnetFilePath,
  devnetWalletPath,
  writeDevnetFile,
} from '../../wallet/devnet-file.ts';
import { type AccountPublicKey, EXTERNAL, INTERNAL, type KeyPlace } from '../../wallet/key-place.ts';
import { AccountAddresses, AccountSecret } from '../../wallet/keys.ts';
import { readWallet, type Wallet, writeDevnetWallet } from '../../wallet/keystore.ts';
import { mnemonicFromEntropy, seedFromMnemonic } from '../../wallet/mnemonic.ts';
import { OutputKeys } from '../../wallet/output-keys.ts';
import { COOKIE, type FakeNode } from './fake-node.ts';

export interface FakeDevnet {
  readonly datadir: string;
  readonly file: DevnetFile;
  /** Path of an account's wallet file. */
  walletOf(account: string): string;
  /** The output script of an account at a place. */
  script(account: string, place?: KeyPlace): Uint8Array;
}

export interface FakeDevnetOptions {
  readonly name?: string;
  readonly pid?: number;
  readonly stopped?: readonly string[];
}

/** The nodes are called n0, n1, …; the accounts alice and bob, and the faucet. */
export async function fakeDevnet(
  datadir: string,
  nodes: readonly FakeNode[],
  options: FakeDevnetOptions = {},
): Promise<FakeDevnet> {
  const name = options.name ?? 'default';
  const cookie = join(dirname(devnetFilePath(datadir, name)), 'cookie');
  mkdirSync(dirname(cookie), { recursive: true });
  writeFileSync(cookie, COOKIE);
  const [alice, bob, faucet] = (await Promise.all(
    ['alice', 'bob', 'faucet'].map((account, index) => makeAccount(datadir, name, account, index)),
  )) as [DevnetAccount, DevnetAccount, DevnetAccount];
  const file: DevnetFile = {
    schema: DEVNET_SCHEMA,
    name,
    network: 'regtest',
    seed: 1,
    pid: options.pid ?? process.pid,
    control: { url: 'http://127.0.0.1:1', token: 'secret' },
    nodes: nodes.map((node, index) => ({
      name: `n${index}`,
      state: options.stopped?.includes(`n${index}`) ? 'stopped' : 'running',
      pid: process.pid,
      rpc: node.endpoint,
      listen: [],
      cookie,
      datadir,
    })),
    accounts: [alice, bob],
    faucet,
  };
  writeDevnetFile(devnetFilePath(datadir, name), file);
  const walletOf = (account: string) => devnetWalletPath(datadir, name, account);
  const script = (account: string, place: KeyPlace = { chain: EXTERNAL, index: 0 }) => {
    const wallet = readWallet(walletOf(account));
    const addresses = AccountAddresses.fromDescriptor(wallet?.descriptor as never, regtest);
    if (!addresses.ok) throw new Error(addresses.error);
    return p2trScript(addresses.value.outputKey(place));
  };
  return { datadir, file, walletOf, script };
}

/** Keys take long to derive and are always the same: they are made once for all tests of a file. */
interface AccountKeys {
  readonly mnemonic: string;
  readonly publicKey: AccountPublicKey;
  readonly address: string;
  /** The text of the file in which its look-up keys are remembered. */
  readonly remembered: string;
}
const keysOf = new Map<string, Promise<AccountKeys>>();

async function deriveKeys(index: number): Promise<AccountKeys> {
  const mnemonic = await mnemonicFromEntropy(new Uint8Array(16).fill(index + 1));
  const { publicKey } = new AccountSecret(seedFromMnemonic(mnemonic), regtest);
  const folder = mkdtempSync(join(tmpdir(), 'grapevine-test-'));
  try {
    const path = join(folder, 'account.json');
    writeDevnetWallet(path, 'regtest', publicKey, mnemonic);
    const keys = new OutputKeys(readWallet(path) as Wallet);
    for (const chain of [EXTERNAL, INTERNAL] as const) await keys.range(chain, 0, GAP_LIMIT + 2);
    const first = await keys.derive({ chain: EXTERNAL, index: 0 });
    keys.save();
    const remembered = readFileSync(rememberedPath(path), 'utf8');
    return { mnemonic, publicKey, address: encodeAddress(first, regtest.hrp), remembered };
  } finally {
    rmSync(folder, { recursive: true });
  }
}

async function makeAccount(datadir: string, devnet: string, name: string, index: number): Promise<DevnetAccount> {
  const keys = keysOf.get(name) ?? deriveKeys(index);
  keysOf.set(name, keys);
  const { mnemonic, publicKey, address, remembered } = await keys;
  const wallet = devnetWalletPath(datadir, devnet, name);
  writeDevnetWallet(wallet, 'regtest', publicKey, mnemonic);
  writeFileSync(rememberedPath(wallet), remembered);
  return { name, address, mnemonic, wallet };
}

function rememberedPath(wallet: string): string {
  return wallet.replace('.json', '.addresses.json');
}
