import { describe, expect, test } from '@jest/globals';
import { decodeAddress } from '../../consensus/address.ts';
import { regtest } from '../../consensus/params.ts';
import { accountNames, deriveAccounts } from '../../devnet/accounts.ts';
import { MAX_ACCOUNTS } from '../../devnet/options.ts';
import { EXTERNAL } from '../../wallet/key-place.ts';
import { AccountAddresses, AccountSecret } from '../../wallet/keys.ts';
import { seedFromMnemonic } from '../../wallet/mnemonic.ts';
import { isName } from '../../wallet/names.ts';

describe('accounts', () => {
  test('have names that the wallet takes, each once, beginning with alice and bob', () => {
    const names = accountNames(MAX_ACCOUNTS);
    expect(names.slice(0, 10)).toEqual([
      'alice',
      'bob',
      'carol',
      'dave',
      'erin',
      'frank',
      'grace',
      'heidi',
      'ivan',
      'judy',
    ]);
    expect(names[20]).toBe('user21');
    expect(new Set([...names, 'faucet']).size).toBe(MAX_ACCOUNTS + 1);
    expect(names.every(isName)).toBe(true);
  });

  test('are the same for the same seed, and do not depend on how many there are', async () => {
    const three = await deriveAccounts(3, 1, regtest);
    const five = await deriveAccounts(5, 1, regtest);
    expect(five.accounts.slice(0, 3)).toEqual(three.accounts);
    expect(five.faucet).toEqual(three.faucet);
    expect(three.accounts[0]!.address).toBe('bcrt1pfy9hrdu2n4lf5t8jpevc8zuav8r8hngls4nzxeqdaeuhrrcaxqes6afvec');
  });

  test('are others for another seed, and none has the keys of another', async () => {
    const all = await Promise.all([1, 2, 11].map((seed) => deriveAccounts(4, seed, regtest)));
    const addresses = all.flatMap(({ accounts, faucet }) => [...accounts, faucet].map(({ address }) => address));
    expect(new Set(addresses).size).toBe(3 * 5);
  });

  test('have words of which any wallet makes their keys and addresses', async () => {
    const { accounts } = await deriveAccounts(2, 5, regtest);
    for (const { mnemonic, publicKey, address, script } of accounts) {
      expect(mnemonic.split(' ')).toHaveLength(12);
      const secret = new AccountSecret(seedFromMnemonic(mnemonic), regtest);
      expect(secret.publicKey).toEqual(publicKey);
      const addresses = AccountAddresses.fromPublicKey(publicKey, regtest);
      if (!addresses.ok) throw new Error(addresses.error);
      const key = addresses.value.outputKey({ chain: EXTERNAL, index: 0 });
      expect(Buffer.from(script).toString('hex')).toBe(`5120${Buffer.from(key).toString('hex')}`);
      expect(decodeAddress(address, regtest)).toEqual({ ok: true, value: script });
    }
  });
});
