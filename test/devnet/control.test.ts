import { request } from 'node:http';
import { afterEach, beforeEach, describe, expect, test } from '@jest/globals';
import { type ControlAddress, ControlGone, ControlServer, callControl } from '../../devnet/control.ts';
import { CliError, Exit } from '../../node/commands/cli.ts';

const TOKEN = 'a token of the test';

/** A request as any program on this machine could make it. */
function ask(
  address: ControlAddress,
  { method = 'POST', authorization = `Bearer ${TOKEN}`, body = '' },
): Promise<{ status: number; text: string }> {
  return new Promise((resolve, reject) => {
    const outgoing = request(address.url, { method, headers: { authorization } }, (response) => {
      let text = '';
      response.on('data', (chunk) => {
        text += chunk;
      });
      response.on('end', () => resolve({ status: response.statusCode ?? 0, text }));
    });
    outgoing.on('error', reject);
    outgoing.end(body);
  });
}

describe('the control endpoint', () => {
  let server: ControlServer;
  let calls: unknown[];
  beforeEach(async () => {
    calls = [];
    server = await ControlServer.listen(TOKEN, async (method, params) => {
      calls.push([method, params]);
      if (method === 'kill') throw new CliError(Exit.usage, 'unknown-node', 'there is no node "n9"', 'there is n0');
      if (method === 'heal') throw new Error('a bug');
      return { name: 'test', amount: 5_000_000_000n };
    });
  });
  afterEach(() => server.close());

  test('listens on loopback only', () => {
    expect(server.address.url).toMatch(/^http:\/\/127\.0\.0\.1:\d+$/);
  });

  test('answers a call, with satoshis as integers', async () => {
    expect(await callControl(server.address, 'ping', {})).toEqual({ name: 'test', amount: 5_000_000_000 });
    expect(calls).toEqual([['ping', {}]]);
  });

  test('hands on the parameters', async () => {
    await callControl(server.address, 'partition', { sides: [['n0'], ['n1']] });
    expect(calls).toEqual([['partition', { sides: [['n0'], ['n1']] }]]);
  });

  test('keeps exit code, code and hint of an error', async () => {
    const error = await callControl(server.address, 'kill', { node: 'n9' }).catch((reason: unknown) => reason);
    expect(error).toBeInstanceOf(CliError);
    expect(error).toMatchObject({
      exit: Exit.usage,
      code: 'unknown-node',
      message: 'there is no node "n9"',
      hint: 'there is n0',
    });
  });

  test('tells a bug by its message', async () => {
    const error = await callControl(server.address, 'heal', {}).catch((reason: unknown) => reason);
    expect(error).toMatchObject({ exit: Exit.failed, code: 'internal', message: 'a bug' });
  });

  test('does nothing without the token', async () => {
    for (const authorization of ['', 'Bearer', 'Bearer wrong', `Basic ${TOKEN}`, `Bearer ${TOKEN}x`]) {
      const { status, text } = await ask(server.address, { authorization, body: '{"method":"stop","params":{}}' });
      expect(status).toBe(401);
      expect(text).not.toContain(TOKEN);
    }
    expect(calls).toEqual([]);
    const error = await callControl({ ...server.address, token: 'wrong' }, 'stop', {}).catch(
      (reason: unknown) => reason,
    );
    expect(error).toMatchObject({ exit: Exit.unreachable, code: 'not-authorised' });
  });

  test('refuses what is no call', async () => {
    expect((await ask(server.address, { method: 'GET' })).status).toBe(405);
    for (const body of [
      '',
      '{',
      'null',
      '[]',
      '{"method":1,"params":{}}',
      '{"method":"ping"}',
      '{"method":"ping","params":[]}',
    ]) {
      expect((await ask(server.address, { body })).status).toBe(400);
    }
    expect((await ask(server.address, { body: `"${'x'.repeat(70_000)}"` })).status).toBe(400);
    expect(calls).toEqual([]);
  });

  test('that has gone is told from one that answers', async () => {
    await server.close();
    await expect(callControl(server.address, 'ping', {})).rejects.toBeInstanceOf(ControlGone);
    server = await ControlServer.listen(TOKEN, async () => null);
  });
});
