/**
 * Other people's libraries: what we sign holds in the eyes of bitcoinjs-lib and @scure/btc-signer, PSBTs go round through
 * both, and transactions that they build or sign are broadcast by our command, taken by a real node and mined.
 */
import { createRequire } from 'node:module';
import { describe, expect, test } from '@jest/globals';
import { base64, hex } from '@scure/base';
import { HDKey } from '@scure/bip32';
import { Transaction as ScureTransaction } from '@scure/btc-signer';
import * as bitcoinjs from 'bitcoinjs-lib';
import { regtest } from '../../consensus/params.ts';
import { tweakSecretKey } from '../../consensus/signature.ts';
import { seedFromMnemonic } from '../../wallet/mnemonic.ts';
import { Psbt } from '../../wallet/psbt.ts';
import { json, Playground } from './playground.ts';
import { NOBODY, RealDevnet } from './real-devnet.ts';

const play = new Playground();
const net = new RealDevnet(play);

/** libsecp256k1 as WebAssembly: the signatures of both libraries' own curves would prove less. */
const ecc = createRequire(import.meta.url)('tiny-secp256k1') as Parameters<typeof bitcoinjs.initEccLib>[0] & {
  verifySchnorr(message: Uint8Array, key: Uint8Array, signature: Uint8Array): boolean;
  signSchnorr(message: Uint8Array, secret: Uint8Array): Uint8Array;
  pointFromScalar(secret: Uint8Array, compressed: boolean): Uint8Array;
};
bitcoinjs.initEccLib(ecc);

/** The secret of alice's key at CHAIN/INDEX as BIP 86 derives it, before BIP 341's tweak: by another library's path. */
function aliceSecret(path: string): Uint8Array {
  const { mnemonic } = play.devnet.file.accounts[0] as { mnemonic: string };
  const { privateKey } = HDKey.fromMasterSeed(seedFromMnemonic(mnemonic)).derive(`m/86'/1'/0'/${path}`);
  return privateKey as Uint8Array;
}

/** A signer as bitcoinjs-lib wants it. */
function signer(secret: Uint8Array) {
  const refuse = (): never => {
    throw new Error('nothing here is signed by ECDSA');
  };
  return {
    publicKey: ecc.pointFromScalar(secret, true),
    sign: refuse,
    signSchnorr: (digest: Uint8Array) => ecc.signSchnorr(digest, secret),
  };
}

async function broadcastAndMine(transaction: string): Promise<string> {
  const sent = await play.run('broadcast', transaction, '--json');
  expect([sent.exit, sent.stderr]).toEqual([0, '']);
  expect(json(sent)).toMatchObject({ status: 'sent', confirmations: 0 });
  const txid = json(sent)['txid'] as string;
  await net.node.mine(1, NOBODY);
  expect((await net.show(txid)).confirmations).toBe(1);
  return txid;
}

describe('what we sign', () => {
  test('holds for bitcoinjs-lib and libsecp256k1, with the same ids and bytes in both libraries', async () => {
    await net.fund('alice', 3);
    const { txid } = await net.send('bob', '120btc', '--data', 'hello');
    const raw = await net.node.call<string>('getrawtransaction', txid, 0);
    const theirs = bitcoinjs.Transaction.fromHex(raw);
    expect([theirs.getId(), theirs.toHex(), theirs.ins.length]).toEqual([txid, raw, 3]);
    const script = play.devnet.script('alice');
    const scripts = theirs.ins.map(() => script);
    const values = theirs.ins.map(() => 5_000_000_000n);
    for (const [index, { witness }] of theirs.ins.entries()) {
      const digest = theirs.hashForWitnessV1(index, scripts, values, bitcoinjs.Transaction.SIGHASH_DEFAULT);
      expect(ecc.verifySchnorr(digest, script.subarray(2), witness[0] as Uint8Array)).toBe(true);
    }
    const scure = ScureTransaction.fromRaw(hex.decode(raw), { allowUnknownOutputs: true });
    expect([scure.id, hex.encode(scure.toBytes(true, true)), scure.isFinal]).toEqual([txid, raw, true]);
  });

  test('as a PSBT, too: bitcoinjs-lib verifies our signatures and extracts the same transaction', async () => {
    await net.fund('alice', 2);
    const unsigned = await net.send('bob', '70btc', '--psbt');
    const signed = json(await play.run('sign', unsigned['psbt'] as string, '--account', 'alice', '--json'));
    const psbt = bitcoinjs.Psbt.fromBase64(signed['psbt'] as string, { network: bitcoinjs.networks.regtest });
    expect(
      psbt.validateSignaturesOfAllInputs((key, digest, signature) => ecc.verifySchnorr(digest, key, signature)),
    ).toBe(true);
    expect(psbt.finalizeAllInputs().extractTransaction().toHex()).toBe(signed['hex']);
    const scure = ScureTransaction.fromPSBT(base64.decode(signed['psbt'] as string));
    scure.finalize();
    expect(scure.hex).toBe(signed['hex']);
    expect(await broadcastAndMine(signed['hex'] as string)).toBe(signed['txid']);
  });
});

describe('our unsigned PSBTs', () => {
  test('come back byte for byte from both libraries', async () => {
    await net.fund('alice', 1);
    const ours = (await net.send('bob', '1btc', '--psbt'))['psbt'] as string;
    expect(bitcoinjs.Psbt.fromBase64(ours).toBase64()).toBe(ours);
    expect(base64.encode(ScureTransaction.fromPSBT(base64.decode(ours)).toPSBT(0))).toBe(ours);
    const read = Psbt.read(base64.decode(ours));
    expect(read.ok && base64.encode(read.value.encode())).toBe(ours);
  });

  test('are signed by bitcoinjs-lib, broadcast as a PSBT and mined', async () => {
    await net.fund('alice', 1);
    const ours = (await net.send('bob', '1btc', '--psbt'))['psbt'] as string;
    const psbt = bitcoinjs.Psbt.fromBase64(ours, { network: bitcoinjs.networks.regtest });
    psbt.signInput(0, signer(tweakSecretKey(aliceSecret('0/0'))));
    psbt.finalizeAllInputs();
    expect(await broadcastAndMine(psbt.toBase64())).toBe(psbt.extractTransaction().getId());
  });

  test('tell @scure/btc-signer which key signs: it finds it from the master key alone', async () => {
    await net.fund('alice', 1);
    const ours = (await net.send('bob', '1btc', '--psbt'))['psbt'] as string;
    const { mnemonic } = play.devnet.file.accounts[0] as { mnemonic: string };
    const tx = ScureTransaction.fromPSBT(base64.decode(ours));
    expect(tx.sign(HDKey.fromMasterSeed(seedFromMnemonic(mnemonic)) as Parameters<typeof tx.sign>[0])).toBe(1);
    tx.finalize();
    expect(await broadcastAndMine(tx.hex)).toBe(tx.id);
  });
});

describe('their transactions', () => {
  test('built by bitcoinjs-lib as a PSBT are signed by our command, broadcast and mined', async () => {
    await net.fund('alice', 1);
    const coin = await aliceCoin();
    const psbt = new bitcoinjs.Psbt({ network: bitcoinjs.networks.regtest });
    psbt.addInput({
      hash: coin.txid,
      index: coin.vout,
      witnessUtxo: { script: play.devnet.script('alice'), value: 5_000_000_000n },
    });
    psbt.addOutput({ address: net.addressOf('bob'), value: 4_999_990_000n });
    const signed = json(await play.run('sign', psbt.toBase64(), '--account', 'alice', '--json'));
    expect(signed).toMatchObject({
      complete: true,
      fee: 10_000,
      recipients: [{ to: 'bob', address: net.addressOf('bob') }],
      change: null,
    });
    expect(await broadcastAndMine(signed['hex'] as string)).toBe(signed['txid']);
  });

  test('built and signed by @scure/btc-signer, with the type ALL spelled out, are broadcast and mined', async () => {
    await net.fund('alice', 1);
    const coin = await aliceCoin();
    const secret = aliceSecret('0/0');
    const tx = new ScureTransaction();
    tx.addInput({
      txid: coin.txid,
      index: coin.vout,
      sighashType: 1,
      witnessUtxo: { script: play.devnet.script('alice'), amount: 5_000_000_000n },
      tapInternalKey: ecc.pointFromScalar(secret, true).subarray(1),
    });
    const network = { bech32: regtest.hrp, pubKeyHash: 0x6f, scriptHash: 0xc4, wif: 0xef };
    tx.addOutputAddress(net.addressOf('bob'), 4_999_000_000n, network);
    const unsigned = base64.encode(tx.toPSBT());
    const ours = json(await play.run('sign', unsigned, '--account', 'alice', '--json'));
    tx.sign(secret, [1]);
    tx.finalize();
    expect(ours['txid']).toBe(tx.id);
    expect((ours['hex'] as string).length).toBe(tx.hex.length);
    expect(await broadcastAndMine(tx.hex)).toBe(tx.id);
  });
});

async function aliceCoin(): Promise<{ txid: string; vout: number }> {
  const { tx } = await net.node.call<{ tx: string[] }>('getblock', await net.node.call('getblockhash', 1), 1);
  return { txid: tx[0] as string, vout: 0 };
}
