/** The parameter of setmining. That nodes mine then is shown by a devnet: test/e2e/devnet-work.test.ts. */
import { describe, expect, test } from '@jest/globals';
import { sha256 } from '#hash';
import { encodeAddress, p2trScript } from '../../../consensus/address.ts';
import { vinenet } from '../../../consensus/params.ts';
import { RpcNode } from './rpc-node.ts';

describe('setmining', () => {
  const key = sha256(Uint8Array.of(1));

  test('takes an address of the network, or nothing to mine no more', () => {
    const node = new RpcNode();
    node.overrides = { params: vinenet };
    expect(node.ask('setmining', [encodeAddress(key, 'gv')])).toEqual({
      type: 'command',
      command: { type: 'set-mining', script: p2trScript(key) },
    });
    expect(node.ask('setmining', [''])).toEqual({
      type: 'command',
      command: { type: 'set-mining', script: undefined },
    });
    expect(node.call('setmining', encodeAddress(key, 'bcrt'))).toMatchObject({ code: -5 });
  });

  test('is refused where a block costs nothing', () => {
    const answer = new RpcNode().call('setmining', encodeAddress(key, 'bcrt'));
    expect(answer).toMatchObject({ code: -1, message: expect.stringContaining('Blocks cost nothing on regtest') });
  });
});
