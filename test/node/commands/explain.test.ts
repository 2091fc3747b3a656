import { describe, expect, test } from '@jest/globals';
import { Command } from 'commander';
import { bytesToHex, hexToBytes } from '#hash';
import { encodeAddress } from '../../../consensus/address.ts';
import { encodeBlock, encodeHeader } from '../../../consensus/block.ts';
import { concatBytes } from '../../../consensus/codec.ts';
import { regtest } from '../../../consensus/params.ts';
import { encodeTransaction } from '../../../consensus/transaction.ts';
import { Exit, reportError } from '../../../node/commands/cli.ts';
import { explainCommand } from '../../../node/commands/explain.ts';
import { type Explanation, explain, type Kind, readHexText } from '../../../node/explain/explain.ts';
import { encodeFrame } from '../../../node/wire/frame.ts';
import { carry, pay, spend, TestChain, testKey, withInput } from '../../support/chain-builder.ts';
import { catchOutput, type Run } from '../../wallet/command-line.ts';

const chain = TestChain.ofHeight(103);
const key = testKey(5);
const tx = spend([chain.coinbase(1)], [pay(key, 4_999_990_000n), carry('hello')], {
  sequence: 0xfffffffd,
  hashType: 0x81,
});
chain.extend({ transactions: [tx], fees: 10_000n });
const block = chain.tip;
const txBytes = encodeTransaction(tx);
const blockBytes = encodeBlock(block);

function explained(bytes: Uint8Array, as?: Kind): Explanation {
  const explanation = explain(bytes, regtest, as);
  if (!explanation.ok) throw new Error(explanation.error[0]?.message);
  return explanation.value;
}

function misfit(bytes: Uint8Array, as?: Kind): string {
  const explanation = explain(bytes, regtest, as);
  if (explanation.ok) throw new Error('it was read');
  return explanation.error[0]?.message ?? '';
}

const meaningOf = ({ fields }: Explanation, name: string) => fields.find((field) => field.name === name)?.meaning;
const factOf = ({ summary }: Explanation, name: string) => Object.fromEntries(summary)[name];

describe('what bytes mean', () => {
  test('every byte belongs to exactly one field, in order', () => {
    const frame = encodeFrame(regtest.magic, 'tx', txBytes);
    for (const bytes of [txBytes, encodeHeader(block.header), blockBytes, frame]) {
      const { fields, size } = explained(bytes);
      expect(concatBytes(...fields.map((field) => field.bytes))).toEqual(bytes);
      let at = 0;
      for (const field of fields) {
        expect(field.offset).toBe(at);
        at += field.bytes.length;
      }
      expect(at).toBe(size);
    }
  });

  test('a transaction: ids, amounts with their unit, addresses, signatures', () => {
    const found = explained(txBytes);
    expect(found.kind).toBe('tx');
    expect(factOf(found, 'txid')).toBe(tx.txid);
    expect(factOf(found, 'wtxid')).toBe(tx.wtxid);
    expect(factOf(found, 'rules')).toBe('keeps those that need no coins');
    expect(meaningOf(found, 'inputs[0].txid')).toBe(chain.coinbase(1).txid);
    expect(meaningOf(found, 'inputs[0].sequence')).toBe('replaceable (BIP 125)');
    expect(meaningOf(found, 'inputs[0].witness[0]')).toBe('Schnorr signature, ALL|ANYONECANPAY');
    expect(meaningOf(found, 'outputs[0].value')).toBe('49.99990000 btc (4999990000 sat)');
    expect(meaningOf(found, 'outputs[0].scriptPubKey')).toBe(`P2TR, pays to ${encodeAddress(key.publicKey, 'bcrt')}`);
    expect(meaningOf(found, 'outputs[1].scriptPubKey')).toBe('data, 5 bytes: "hello"');
    expect(meaningOf(found, 'lockTime')).toBe('none');
    expect(found.fields.find(({ name }) => name === 'outputs[0].value')?.value).toBe(4_999_990_000n);
  });

  test('a transaction that breaks a rule is shown, and the rule named', () => {
    const twice = spend([chain.coinbase(2), chain.coinbase(2)], [pay(key, 1n)]);
    expect(factOf(explained(encodeTransaction(twice)), 'rules')).toBe('breaks one: bad-txns-inputs-duplicate');
    const long = encodeTransaction(withInput(tx, 0, { witness: [new Uint8Array(64), new Uint8Array(1)] }));
    expect(factOf(explained(long), 'rules')).toBe('breaks one: subset-witness');
    expect(meaningOf(explained(long), 'inputs[0].witness[0]')).toBe('not a key-path spend');
  });

  test('relative and absolute locks in their units', () => {
    const at = (sequence: number, lockTime: number) =>
      explained(encodeTransaction(spend([chain.coinbase(2)], [pay(key, 1n)], { sequence, lockTime })));
    expect(meaningOf(at(7, 200), 'inputs[0].sequence')).toContain('waits 7 blocks');
    expect(meaningOf(at(7, 200), 'lockTime')).toBe('height 200');
    expect(meaningOf(at(0x00400002, 1_600_000_000), 'inputs[0].sequence')).toContain('waits 1024 s');
    expect(meaningOf(at(0x00400002, 1_600_000_000), 'lockTime')).toBe('time 2020-09-13T12:26:40Z (1600000000)');
  });

  test('a header: its hash and whether its work holds', () => {
    const bytes = encodeHeader(block.header);
    const found = explained(bytes);
    expect(found.kind).toBe('header');
    expect(factOf(found, 'hash')).toBe(block.header.hash);
    expect(factOf(found, 'proof of work')).toBe('holds: the hash is not above the target (work 2)');
    const hard = Uint8Array.from(bytes);
    hard.set([0xff, 0xff, 0x00, 0x1d], 72);
    expect(factOf(explained(hard), 'proof of work')).toBe('fails: the hash is above the target');
    hard.set([0, 0, 0, 0], 72);
    expect(factOf(explained(hard), 'proof of work')).toBe('fails: bits stand for no target');
  });

  test('a block: its root and its commitment are computed anew', () => {
    const found = explained(blockBytes);
    expect(found.kind).toBe('block');
    expect(factOf(found, 'hash')).toBe(block.header.hash);
    expect(factOf(found, 'merkle root')).toBe('is that of the transactions');
    expect(factOf(found, 'witness commitment')).toMatch(/^in output \d, is that of the witnesses$/);
    expect(factOf(found, 'rules')).toBe('keeps those that need neither coins nor chain');
    expect(factOf(found, 'tx[1]')).toBe(tx.txid);
    expect(meaningOf(found, 'tx[0].inputs[0].scriptSig')).toBe('coinbase, height 104 (BIP 34)');
    // Another signature changes the witnesses; another amount the transaction itself.
    const changed = (search: string, replacement: string) =>
      explained(hexToBytes(bytesToHex(blockBytes).replace(search, replacement)));
    const signature = bytesToHex(tx.inputs[0]?.witness[0] as Uint8Array);
    expect(factOf(changed(signature, '11'.repeat(65)), 'witness commitment')).toMatch(
      /is wrong: the witnesses are others$/,
    );
    const amount = bytesToHex(txBytes).slice(98, 114);
    expect(factOf(changed(amount, '0100000000000000'), 'merkle root')).toMatch(/^is wrong/);
  });

  test('peer messages, one after the other, with what they carry', () => {
    const ping = encodeFrame(regtest.magic, 'ping', new Uint8Array(8));
    const found = explained(concatBytes(ping, encodeFrame(regtest.magic, 'tx', txBytes)));
    expect(found.kind).toBe('message');
    expect(factOf(found, 'message[0]')).toBe('ping, 24 + 8 bytes, checksum right');
    expect(meaningOf(found, 'message[1].magic')).toBe('regtest');
    expect(meaningOf(found, 'message[1].tx.outputs[1].scriptPubKey')).toBe('data, 5 bytes: "hello"');
    const wrong = Uint8Array.from(ping);
    wrong[31] = 1;
    expect(factOf(explained(wrong), 'message[0]')).toContain('checksum wrong');
  });
});

describe('bytes that do not fit', () => {
  test('say at which offset and in which field', () => {
    expect(misfit(txBytes.subarray(0, 50))).toBe('at offset 49 (transaction, outputs[0].value): ends too early');
    expect(misfit(concatBytes(txBytes, Uint8Array.of(0, 0)))).toBe(
      `at offset ${txBytes.length} (after the transaction): 2 bytes after the end`,
    );
    expect(misfit(blockBytes.subarray(0, -1))).toMatch(/^at offset \d+ \(block, tx\[1\]\.lockTime\): ends too early$/);
    expect(misfit(new Uint8Array(0))).toBe('at offset 0 (transaction, version): ends too early');
  });

  test('are taken for what the caller says they are', () => {
    expect(misfit(txBytes, 'header')).toBe(
      `at offset 80 (after the block header): ${txBytes.length - 80} bytes after the end`,
    );
    expect(explained(encodeHeader(block.header), 'header').kind).toBe('header');
    expect(misfit(encodeFrame(regtest.magic, 'ping', new Uint8Array(8)).subarray(0, 30))).toMatch(
      /message\[0\]\.payload\): ends too early/,
    );
  });

  test('every cut of a transaction and of a block is refused, and none throws', () => {
    for (const bytes of [txBytes, blockBytes]) {
      for (let size = 0; size < bytes.length; size++) {
        if (size !== 80) expect(explain(bytes.subarray(0, size), regtest).ok).toBe(false);
      }
    }
  });

  test('text that is no hex names the character', () => {
    expect(readHexText('0x00 ff\n01')).toEqual({ ok: true, value: Uint8Array.of(0, 255, 1) });
    expect(readHexText('00fg')).toEqual({ ok: false, error: 'character 4 is "g", which is no hex digit' });
    expect(readHexText('000')).toEqual({ ok: false, error: 'there are 3 hex digits: the last byte has only one' });
    expect(readHexText(' ')).toEqual({ ok: false, error: 'there are no bytes' });
  });
});

describe('the command', () => {
  function run(...args: readonly string[]): Promise<Run> {
    const program = new Command('grapevine').option('--json').addCommand(explainCommand().exitOverride());
    return catchOutput(async () => {
      try {
        await program.parseAsync(['explain', ...args], { from: 'user' });
        return Exit.done;
      } catch (error) {
        return reportError(error, { json: args.includes('--json'), verbose: false });
      }
    });
  }

  test('prints what follows from the bytes, then each field with its offset', async () => {
    const { exit, stdout, stderr } = await run(bytesToHex(txBytes));
    expect(exit).toBe(0);
    expect(stderr).toBe('');
    const lines = stdout.split('\n');
    expect(lines[0]).toBe(`transaction of ${txBytes.length} bytes, regtest`);
    expect(lines[1]).toBe(`  txid    ${tx.txid}`);
    expect(lines.find((line) => line.includes('outputs[0].value'))).toMatch(
      /^ 49 {2}[0-9a-f]{16} +outputs\[0\]\.value +49\.99990000 btc/,
    );
  });

  test('prints one JSON document, amounts in satoshis', async () => {
    const { stdout } = await run(bytesToHex(blockBytes), '--json');
    const shown = JSON.parse(stdout) as { kind: string; summary: object; fields: { name: string; value: unknown }[] };
    expect(shown.kind).toBe('block');
    expect(shown.summary).toMatchObject({ hash: block.header.hash, merkleRoot: 'is that of the transactions' });
    expect(shown.fields.find(({ name }) => name === 'tx[1].outputs[0].value')?.value).toBe(4_999_990_000);
  });

  test('ends with 2 for what is no hex, and with 1 for bytes that do not fit', async () => {
    expect(await run('00x')).toMatchObject({
      exit: Exit.usage,
      stdout: '',
      stderr: expect.stringContaining('character 3'),
    });
    expect((await run('cHNidP8BAA==')).stderr).toContain('decodepsbt');
    const cut = await run(bytesToHex(txBytes.subarray(0, 50)));
    expect(cut).toMatchObject({ exit: Exit.failed, stdout: '', stderr: expect.stringContaining('at offset 49') });
    const id = await run(tx.txid);
    expect(id.exit).toBe(Exit.failed);
    expect(id.stderr).toContain(
      `this looks like an id: its bytes are those of "grapevine node rpc getrawtransaction ${tx.txid}"`,
    );
    const asHeader = await run('--as', 'header', bytesToHex(txBytes), '--json');
    expect(JSON.parse(asHeader.stderr)).toMatchObject({ error: { code: 'not-decodable' } });
  });
});
