/** What a wallet remembers: its file, its lock between processes, its cache of addresses, and the payments under way. */
import { spawnSync } from 'node:child_process';
import { existsSync, readFileSync, utimesSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, test } from '@jest/globals';
import { bytesToHex } from '#hash';
import { type OutPointKey, outPointKey, type Txid } from '../../consensus/brand.ts';
import { regtest } from '../../consensus/params.ts';
import { withLock } from '../../wallet/file-lock.ts';
import { EXTERNAL, INTERNAL } from '../../wallet/key-place.ts';
import { AccountSecret } from '../../wallet/keys.ts';
import { readWallet, type Wallet, writeDevnetWallet } from '../../wallet/keystore.ts';
import { seedFromMnemonic } from '../../wallet/mnemonic.ts';
import { OutputKeys } from '../../wallet/output-keys.ts';
import { reservedCoins, reviewPending } from '../../wallet/pending-payments.ts';
import type { WalletCoin } from '../../wallet/wallet-coins.ts';
import { type PendingPayment, readState, withState } from '../../wallet/wallet-state.ts';
import { temporaryFolders } from '../support/temporary-folder.ts';

const newFolder = temporaryFolders();
const lockOf = (path: string) => ({ what: 'the wallet', timeoutMs: 60, path });

/** The id of a process that has ended. */
function deadProcess(): number {
  return spawnSync(process.execPath, ['-e', '']).pid;
}

describe('the lock', () => {
  test('lets one action in at a time, in whatever order they come', async () => {
    const path = join(newFolder(), 'a.lock');
    let inside = 0;
    let most = 0;
    const action = async () => {
      inside += 1;
      most = Math.max(most, inside);
      await new Promise((resolve) => setTimeout(resolve, 5));
      inside -= 1;
    };
    await Promise.all(Array.from({ length: 5 }, () => withLock(path, { what: 'it', timeoutMs: 5000 }, action)));
    expect(most).toBe(1);
    expect(existsSync(path)).toBe(false);
  });

  test('is taken over from a process that died', async () => {
    const path = join(newFolder(), 'a.lock');
    writeFileSync(path, `${deadProcess()}\n`);
    await expect(withLock(path, lockOf(path), async () => 'in')).resolves.toBe('in');
  });

  test('is taken over when the process that was taking it over died as well', async () => {
    const path = join(newFolder(), 'a.lock');
    const dead = `${deadProcess()}\n`;
    writeFileSync(path, dead);
    writeFileSync(`${path}.takeover`, dead);
    utimesSync(`${path}.takeover`, new Date(0), new Date(0));
    await expect(withLock(path, lockOf(path), async () => 'in')).resolves.toBe('in');
  });

  test('of a living process is waited for, and then an error that names it', async () => {
    const path = join(newFolder(), 'a.lock');
    writeFileSync(path, `${process.pid}\n`);
    const waited: number[] = [];
    const options = { ...lockOf(path), onWait: (pid: number) => waited.push(pid) };
    await expect(withLock(path, options, async () => 'in')).rejects.toMatchObject({
      code: 'locked',
      message: `the wallet is in use by process ${process.pid}`,
    });
    expect(waited).toEqual([process.pid]);
    expect(existsSync(path)).toBe(true);
  });

  test('is given back when the action fails', async () => {
    const path = join(newFolder(), 'a.lock');
    const failing = withLock(path, lockOf(path), async () => {
      throw new Error('no');
    });
    await expect(failing).rejects.toThrow('no');
    expect(existsSync(path)).toBe(false);
  });
});

describe('the state', () => {
  test('is empty at first, and saved changes are there for the next command', async () => {
    const wallet = join(newFolder(), 'alice.json');
    expect(readState(wallet)).toEqual({ schema: 1, next: { external: 0, internal: 0 }, pending: [] });
    await withState(wallet, { what: 'it' }, async (state) => {
      state.save({ ...state.value, next: { external: 3, internal: 1 } });
      expect(state.value.next.external).toBe(3);
    });
    expect(readState(wallet).next).toEqual({ external: 3, internal: 1 });
  });

  test('that is damaged or newer is an error that names the file', () => {
    const wallet = join(newFolder(), 'alice.json');
    for (const text of ['{', 'null', '{"schema":2}']) {
      writeFileSync(wallet.replace('.json', '.state.json'), text);
      expect(() => readState(wallet)).toThrow(expect.objectContaining({ code: 'wallet-state' }));
    }
  });
});

describe('remembered output keys', () => {
  function wallet(folder: string): Wallet {
    const path = join(folder, 'alice.json');
    const mnemonic = 'legal winner thank year wave sausage worth useful legal winner thank yellow';
    writeDevnetWallet(path, 'regtest', new AccountSecret(seedFromMnemonic(mnemonic), regtest).publicKey, mnemonic);
    return readWallet(path) as Wallet;
  }

  test('are the derived ones, and a damaged or foreign file is derived anew', async () => {
    const alice = wallet(newFolder());
    const file = alice.path.replace('.json', '.addresses.json');
    const first = new OutputKeys(alice);
    const keys = (await first.range(EXTERNAL, 0, 3)).map(bytesToHex);
    expect(keys[2]).toBe(bytesToHex(await first.derive({ chain: EXTERNAL, index: 2 })));
    expect(keys[0]).not.toBe(bytesToHex((await first.range(INTERNAL, 0, 1))[0] as Uint8Array));
    first.save();
    const text = readFileSync(file, 'utf8');
    const forged = text.replace(keys[1] as string, keys[0] as string);
    for (const content of [text, forged, '{', 'null', text.replace(/tpub\w+/, 'tpubOther')]) {
      writeFileSync(file, content);
      const again = (await new OutputKeys(alice).range(EXTERNAL, 0, 3)).map(bytesToHex);
      expect(again).toEqual(keys);
    }
  });
});

describe('payments under way', () => {
  const txid = (n: number) => n.toString(16).padStart(64, '0') as Txid;
  const coin = (n: number) => ({ prevout: { txid: txid(n), vout: 0 } }) as WalletCoin;
  const key = (n: number): OutPointKey => outPointKey(txid(n), 0);
  const payment = (spends: readonly number[], createdAt: number, sent: boolean): PendingPayment => ({
    txid: txid(spends[0] as number),
    hex: '',
    spends: spends.map(key),
    createdAt,
    sent,
  });

  test('keep their coins reserved', () => {
    expect([...reservedCoins([payment([1, 2], 0, true), payment([3], 0, false)])]).toEqual([key(1), key(2), key(3)]);
  });

  test('that the node does not know are to be sent to it again, oldest first', () => {
    const pending = [payment([1], 100, true), payment([2], 101, true), payment([3], 102, true)];
    const review = reviewPending(pending, [coin(1), coin(3)], 103);
    expect(review.unknown).toEqual([pending[0], pending[2]]);
    expect(review.kept).toEqual(pending);
  });

  test('are remembered for a while after the node knows them, and then forgotten', () => {
    const pending = [payment([1], 100, true)];
    expect(reviewPending(pending, [], 700).kept).toEqual(pending);
    expect(reviewPending(pending, [], 701).kept).toEqual([]);
  });

  test('that no node keeps for two weeks are forgotten', () => {
    const pending = [payment([1], 100, true)];
    const twoWeeks = 14 * 24 * 3600;
    expect(reviewPending(pending, [coin(1)], 100 + twoWeeks).unknown).toEqual(pending);
    expect(reviewPending(pending, [coin(1)], 101 + twoWeeks)).toMatchObject({ kept: [], unknown: [], abandoned: [] });
  });

  test('that were interrupted free their coins, but not while the request may be on its way', () => {
    const pending = [payment([1], 100, false)];
    expect(reviewPending(pending, [coin(1)], 101)).toMatchObject({ kept: pending, abandoned: [], retryInSeconds: 1 });
    expect(reviewPending(pending, [coin(1)], 102)).toMatchObject({ kept: [], abandoned: pending, unknown: [] });
  });

  test('that were replaced are never sent again, and remembered for a while', () => {
    const replaced = { ...payment([1], 100, true), replacedBy: txid(9) };
    expect(reviewPending([replaced], [coin(1)], 103)).toMatchObject({ kept: [replaced], unknown: [], abandoned: [] });
    expect(reviewPending([replaced], [], 103).kept).toEqual([replaced]);
    expect(reviewPending([replaced], [coin(1)], 701).kept).toEqual([]);
  });

  test('of a clock that was set back meanwhile are not waited for', () => {
    const pending = [payment([1], 100_000, false)];
    expect(reviewPending(pending, [coin(1)], 100)).toMatchObject({ abandoned: pending, retryInSeconds: undefined });
  });

  test('that were interrupted after the node took them count as sent', () => {
    const pending = [payment([1], 100, false)];
    expect(reviewPending(pending, [], 110).kept).toEqual([{ ...pending[0], sent: true }]);
  });
});
