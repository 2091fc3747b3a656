/**
 * Tools made for Bitcoin Core, unmodified, against a real node: its command-line client, where GRAPEVINE_BITCOIND is the path
 * of a bitcoind with a bitcoin-cli beside it, and the CPU miner `minerd`, where GRAPEVINE_MINERD is its path.
 */
import { execFile, spawn } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { describe, expect, test } from '@jest/globals';
import { bytesToHex, hexToBytes } from '#hash';
import { encodeAddress } from '../../consensus/address.ts';
import { readBlock } from '../../consensus/block.ts';
import { decode } from '../../consensus/codec.ts';
import { encodeTransaction, type Transaction } from '../../consensus/transaction.ts';
import { outputOf, pay, spend, testKey } from '../support/chain-builder.ts';
import { eventually, NodeProcess } from '../support/node-process.ts';
import { temporaryFolders } from '../support/temporary-folder.ts';

const bitcoind = process.env['GRAPEVINE_BITCOIND'];
const minerd = process.env['GRAPEVINE_MINERD'];
const newFolder = temporaryFolders();
const key = testKey(0);
const address = encodeAddress(key.publicKey, 'bcrt');

/** Runs bitcoin-cli against a node and returns what it prints; rejects where it fails. */
function cli(node: NodeProcess, ...args: readonly string[]): Promise<string> {
  const program = join(dirname(bitcoind as string), 'bitcoin-cli');
  const place = ['-regtest', `-datadir=${node.ready.datadir}`, `-rpcport=${node.rpcPort}`];
  return new Promise((settle, refuse) => {
    execFile(program, [...place, ...args], (failed, stdout, stderr) => {
      if (failed === null) settle(stdout.trim());
      else refuse(new Error(stderr));
    });
  });
}

if (bitcoind === undefined) test.skip('bitcoin-cli: needs GRAPEVINE_BITCOIND', () => undefined);
else
  describe('bitcoin-cli', () => {
    test('shows the node, mines, waits, and takes named parameters', async () => {
      const node = await NodeProcess.start(newFolder());
      const peer = await NodeProcess.start(newFolder(), '--connect', node.ready.listen[0] as string);
      await eventually(
        () => node.call<number>('getconnectioncount'),
        (count) => count > 0,
      );
      await expect(cli(node, '-generate', '1')).rejects.toThrow('setminingaddress');
      expect(await cli(node, 'setminingaddress', address)).toBe('');
      const waiting = cli(node, 'waitforblockheight', '2');
      const generated = JSON.parse(await cli(node, '-generate', '2')) as { address: string; blocks: string[] };
      expect(generated).toEqual({ address, blocks: [expect.any(String), await cli(node, 'getbestblockhash')] });
      expect(JSON.parse(await waiting)).toEqual({ hash: generated.blocks[1], height: 2 });
      expect(await cli(node, '-getinfo')).toMatch(/Chain: .*regtest.*Blocks: 2\n.*in 1, out 0, total 1/s);
      expect(await cli(node, '-netinfo', '4')).toMatch(/ in [^\n]*\/Grapevine:.*total +0 +0 +1 +1/s);
      const named = ['getblock', `blockhash=${generated.blocks[0]}`, 'verbosity=2'];
      expect(JSON.parse(await cli(node, '-named', ...named))).toMatchObject({ height: 1, tx: [{ vin: [{}] }] });
      expect(JSON.parse(await cli(node, 'getblocktemplate', '{"rules":["segwit"]}'))).toMatchObject({ height: 3 });
      expect(JSON.parse(await cli(node, 'getblockstats', '1', '["txs"]'))).toEqual({ txs: 1 });
      await expect(cli(node, 'getblockhash', '9')).rejects.toThrow('Block height out of range');
      expect(await cli(node, 'help', 'getblocktemplate')).toMatch(/^getblocktemplate /);
      expect(await cli(node, 'stop')).toBe('Grapevine stopping');
      await node.ended;
      expect(await peer.call('getblockcount')).toBe(2);
    });
  });

if (minerd === undefined) test.skip('a CPU miner: needs GRAPEVINE_MINERD', () => undefined);
else
  describe('a CPU miner', () => {
    /** Payments of chained coins, so that the order of a block's transactions matters. */
    async function sendPayments(node: NodeProcess, blocks: readonly string[]): Promise<void> {
      for (const hash of blocks) {
        const block = decode(hexToBytes(await node.call('getblock', hash, 0)), readBlock);
        if (!block.ok) throw new Error(block.error);
        let tx = block.value.transactions[0] as Transaction;
        for (let i = 0; i < 4; i++) {
          const coin = outputOf(tx, 0, key);
          tx = spend([coin], [pay(key, coin.value - 10_000n)]);
          await node.call('sendrawtransaction', bytesToHex(encodeTransaction(tx)));
        }
      }
    }

    test.each(['with an address of its own', 'to the address of the node'])('mines payments %s', async (how) => {
      const node = await NodeProcess.start(newFolder());
      const blocks = await node.call<string[]>('generatetoaddress', 120, address);
      await sendPayments(node, blocks.slice(0, 10));
      const at = ['-o', `http://${node.ready.rpc}`, '-O', readFileSync(node.ready.cookie, 'utf8')];
      const args = ['-a', 'sha256d', '-t', '1', ...at, '--no-getwork', '--no-stratum', '-R', '1'];
      if (how === 'to the address of the node') await node.call('setminingaddress', address);
      else {
        const { cpuminer } = await node.call<{ cpuminer: string }>('getmineraddress', address);
        args.push(`--coinbase-addr=${cpuminer}`);
      }
      const miner = spawn(minerd, args, { stdio: 'ignore' });
      const ended = new Promise((settle) => miner.once('exit', settle));
      try {
        // Over a height at which BIP 94 has a bound.
        await eventually(
          () => node.call<number>('getblockcount'),
          (height) => height > 150,
        );
      } finally {
        miner.kill('SIGKILL');
        await ended;
      }
      expect(await node.call('getrawmempool')).toEqual([]);
      const { tx } = await node.call<{ tx: { vout: object[] }[] }>('getblock', await node.call('getblockhash', 121), 2);
      expect(tx).toHaveLength(41);
      expect(tx[0]?.vout[0]).toMatchObject({ value: 50.004, scriptPubKey: { address } });
    });
  });
