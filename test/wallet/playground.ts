/** What the tests of commands share: a data directory with a running devnet of one fake node, anew for each test. */
import { join } from 'node:path';
import { afterAll, afterEach, beforeEach } from '@jest/globals';
import { decodeAddress } from '../../consensus/address.ts';
import type { OutPointKey } from '../../consensus/brand.ts';
import { regtest } from '../../consensus/params.ts';
import { AccountSecret } from '../../wallet/keys.ts';
import { createWallet } from '../../wallet/keystore.ts';
import { seedFromMnemonic } from '../../wallet/mnemonic.ts';
import { temporaryFolders } from '../support/temporary-folder.ts';
import { type Run, runWallet } from './command-line.ts';
import { type FakeDevnet, fakeDevnet } from './fake-devnet.ts';
import { FakeNode } from './fake-node.ts';

export const BTC = 100_000_000n;
/** The password of the wallets that `makeWallet` makes. */
export const PASSWORD = 'secret';

const WEAK = { n: 2 ** 10, r: 8, p: 1 };
const MNEMONIC = 'legal winner thank year wave sausage worth useful legal winner thank yellow';
const { publicKey } = new AccountSecret(seedFromMnemonic(MNEMONIC), regtest);

export class Playground {
  readonly newFolder = temporaryFolders();
  readonly #nodes: FakeNode[] = [];
  #devnet: FakeDevnet | undefined;
  #node: FakeNode | undefined;

  /** Call it at the top of a test file. */
  constructor() {
    beforeEach(async () => {
      this.#node = await this.startNode();
      this.#devnet = await fakeDevnet(this.newFolder(), [this.#node]);
    });
    afterEach(() => {
      delete process.env['GRAPEVINE_PASSWORD'];
    });
    afterAll(() => Promise.all(this.#nodes.map((node) => node.stop())));
  }

  get devnet(): FakeDevnet {
    if (this.#devnet === undefined) throw new Error('there is a devnet within tests only');
    return this.#devnet;
  }

  /** The devnet's one node. */
  get node(): FakeNode {
    if (this.#node === undefined) throw new Error('there is a node within tests only');
    return this.#node;
  }

  /** Another node, stopped with the rest. */
  async startNode(): Promise<FakeNode> {
    const node = await new FakeNode().start();
    this.#nodes.push(node);
    return node;
  }

  run(...args: string[]): Promise<Run> {
    return runWallet(this.devnet.datadir, ...args);
  }

  /** Confirmed coins for the first address of a devnet account. */
  fund(account: string, ...values: bigint[]): OutPointKey[] {
    return values.map((value) => this.node.pay(this.devnet.script(account), value));
  }

  /** An encrypted wallet, with a weak key derivation so that tests are quick. Returns its path. */
  async makeWallet(name: string, datadir = this.devnet.datadir): Promise<string> {
    const path = join(datadir, 'wallets', `${name}.json`);
    await createWallet(path, 'regtest', publicKey, { mnemonic: MNEMONIC }, PASSWORD, WEAK);
    return path;
  }

  /** Pays a wallet at the address that it shows. */
  async fundWallet(name: string, value: bigint): Promise<void> {
    const script = decodeAddress((await this.run('address', '--account', name)).stdout.trim(), regtest);
    if (!script.ok) throw new Error(script.error.message);
    this.node.pay(script.value, value);
  }
}

export const json = ({ stdout }: Run) => JSON.parse(stdout) as Record<string, unknown>;
export const errorOf = ({ stderr }: Run) =>
  (JSON.parse(stderr) as { error: { code: string; message: string; hint: string } }).error;
