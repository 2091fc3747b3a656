/** Words, seeds, derivation and addresses against the published vectors of BIP 39, BIP 32 and BIP 86. */
import { readFileSync } from 'node:fs';
import { describe, expect, test } from '@jest/globals';
import { HDKey } from '@scure/bip32';
import { bytesToHex, hexToBytes } from '#hash';
import { encodeAddress } from '../../consensus/address.ts';
import { type ChainParams, regtest } from '../../consensus/params.ts';
import { xOnlyPublicKey } from '../../consensus/signature.ts';
import { EXTERNAL, INTERNAL, type KeyChain } from '../../wallet/key-place.ts';
import { AccountAddresses, AccountSecret } from '../../wallet/keys.ts';
import { mnemonicFromEntropy, seedFromMnemonic } from '../../wallet/mnemonic.ts';
import { readDerivationVectors, type VectorFile } from '../support/vectors.ts';

interface WordsCase {
  readonly entropy: string;
  readonly mnemonic: string;
  readonly passphrase: string;
  readonly seed: string;
}
interface ExtendedKeyCase {
  readonly seed: string;
  readonly path: string;
  readonly xprv: string;
  readonly xpub: string;
}

function readVectors<Case>(name: string): VectorFile<Case> {
  return JSON.parse(readFileSync(new URL(`../vectors/${name}`, import.meta.url), 'utf8')) as VectorFile<Case>;
}

/** The vectors are mainnet's. */
const mainnet: ChainParams = {
  ...regtest,
  hrp: 'bc',
  coinType: 0,
  bip32: { public: 0x0488b21e, private: 0x0488ade4 },
};

const words = readVectors<WordsCase>('bip39.json');
const extended = readVectors<ExtendedKeyCase>('bip32.json');
const derivation = readDerivationVectors();

describe('words', () => {
  test.each(words.cases)(`BIP 39: "$mnemonic"`, async ({ entropy, mnemonic, passphrase, seed }) => {
    expect(await mnemonicFromEntropy(hexToBytes(entropy))).toBe(mnemonic);
    expect(bytesToHex(seedFromMnemonic(mnemonic, passphrase))).toBe(seed);
  });
});

describe('extended keys', () => {
  test.each(extended.cases)('BIP 32: $path of $seed', ({ seed, path, xprv, xpub }) => {
    const key = HDKey.fromMasterSeed(hexToBytes(seed)).derive(path);
    expect([key.privateExtendedKey, key.publicExtendedKey]).toEqual([xprv, xpub]);
  });
});

describe('accounts', () => {
  test.each(derivation.cases)('BIP 86: $path is $address', ({ mnemonic, path, outputKey, address }) => {
    const secret = new AccountSecret(seedFromMnemonic(mnemonic), mainnet);
    const addresses = AccountAddresses.fromPublicKey(secret.publicKey, mainnet);
    if (!addresses.ok) throw new Error(addresses.error);
    const [chain, index] = path.split('/').slice(-2).map(Number) as [KeyChain, number];
    const key = addresses.value.outputKey({ chain, index });
    expect(bytesToHex(key)).toBe(outputKey);
    expect(encodeAddress(key, mainnet.hrp)).toBe(address);
    // The secret that signs is the one of the output key, as an x-only key.
    expect(bytesToHex(xOnlyPublicKey(secret.outputSecret({ chain, index })))).toBe(outputKey);
  });

  test('secrets belong to the output keys on both chains, whatever the parity of the keys', () => {
    const secret = new AccountSecret(hexToBytes('000102030405060708090a0b0c0d0e0f'), regtest);
    const addresses = AccountAddresses.fromPublicKey(secret.publicKey, regtest);
    if (!addresses.ok) throw new Error(addresses.error);
    for (const chain of [EXTERNAL, INTERNAL] as const) {
      for (let index = 0; index < 8; index++) {
        const key = addresses.value.outputKey({ chain, index });
        expect(bytesToHex(xOnlyPublicKey(secret.outputSecret({ chain, index })))).toBe(bytesToHex(key));
      }
    }
  });

  test('the account is named by its path, the fingerprint of its seed and a key of its network', () => {
    const { publicKey } = new AccountSecret(seedFromMnemonic(derivation.cases[0]?.mnemonic ?? ''), regtest);
    expect(publicKey).toMatchObject({ path: 'm/86h/1h/0h', fingerprint: '73c5da0a' });
    expect(publicKey.xpub).toMatch(/^tpub/);
  });

  test('keys of another network, private keys and damaged texts are refused', () => {
    const { publicKey } = new AccountSecret(hexToBytes('000102030405060708090a0b0c0d0e0f'), mainnet);
    expect(AccountAddresses.fromPublicKey(publicKey, regtest).ok).toBe(false);
    expect(AccountAddresses.fromPublicKey(publicKey, mainnet).ok).toBe(true);
    const xprv = extended.cases[0]?.xprv ?? '';
    expect(AccountAddresses.fromPublicKey({ ...publicKey, xpub: xprv }, mainnet).ok).toBe(false);
    const damaged = publicKey.xpub.replace(/.$/, (last) => (last === '1' ? '2' : '1'));
    expect(AccountAddresses.fromPublicKey({ ...publicKey, xpub: damaged }, mainnet).ok).toBe(false);
  });
});
