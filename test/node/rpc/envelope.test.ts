/** JSON-RPC requests and replies, RULES.md D1. */
import { describe, expect, test } from '@jest/globals';
import { callsOf, formatReply, parseBody } from '../../../node/rpc/envelope.ts';

const ok = { ok: true, json: '7' } as const;
const bad = { ok: false, code: -5, message: 'Block not found' } as const;

function reply(text: string, ...outcomes: Parameters<typeof formatReply>[1]) {
  const body = parseBody(text);
  expect(callsOf(body)).toHaveLength(outcomes.length);
  return formatReply(body, outcomes);
}

describe('a legacy request', () => {
  const call = '{"id":"x","method":"m"}';

  test('is answered with both result and error', () => {
    expect(reply(call, ok)).toEqual({ status: 200, body: '{"result":7,"error":null,"id":"x"}\n' });
    expect(reply(call, bad)).toEqual({
      status: 500,
      body: '{"result":null,"error":{"code":-5,"message":"Block not found"},"id":"x"}\n',
    });
  });

  test('has a status of its own for unknown methods', () => {
    expect(reply(call, { ok: false, code: -32601, message: 'Method not found' }).status).toBe(404);
  });

  test('without an id gets none back', () => {
    expect(reply('{"method":"m"}', ok)).toEqual({ status: 200, body: '{"result":7,"error":null}\n' });
  });
});

describe('a 2.0 request', () => {
  test('is answered with one of result and error and always 200', () => {
    const call = '{"jsonrpc":"2.0","id":[1],"method":"m"}';
    expect(reply(call, ok)).toEqual({ status: 200, body: '{"jsonrpc":"2.0","result":7,"id":[1]}\n' });
    expect(reply(call, bad)).toEqual({
      status: 200,
      body: '{"jsonrpc":"2.0","error":{"code":-5,"message":"Block not found"},"id":[1]}\n',
    });
  });

  test('without an id is run and not answered', () => {
    expect(reply('{"jsonrpc":"2.0","method":"m"}', bad)).toEqual({ status: 204, body: null });
  });

  test('with the id null is answered', () => {
    expect(reply('{"jsonrpc":"2.0","id":null,"method":"m"}', ok).body).toBe('{"jsonrpc":"2.0","result":7,"id":null}\n');
  });
});

describe('a batch', () => {
  test('is answered in order, refused items in their place', () => {
    const { status, body } = reply('[{"id":1,"method":"m"},5,{"id":2,"method":"m","jsonrpc":"2.0"}]', bad, ok);
    expect(status).toBe(200);
    expect(JSON.parse(body ?? '')).toEqual([
      { result: null, error: { code: -5, message: 'Block not found' }, id: 1 },
      { result: null, error: { code: -32600, message: 'Invalid Request object' }, id: null },
      { jsonrpc: '2.0', result: 7, id: 2 },
    ]);
  });

  test('that is empty gets an empty array, one of notifications only gets nothing', () => {
    expect(reply('[]')).toEqual({ status: 200, body: '[]\n' });
    expect(reply('[{"jsonrpc":"2.0","method":"m"}]', ok)).toEqual({ status: 204, body: null });
  });
});

describe('what is no request', () => {
  test.each([
    ['', 500, -32700, 'Parse error'],
    ['{"id":1,', 500, -32700, 'Parse error'],
    ['7', 500, -32700, 'Top-level object parse error'],
    ['null', 500, -32700, 'Top-level object parse error'],
    ['{}', 400, -32600, 'Missing method'],
    ['{"method":1}', 400, -32600, 'Method must be a string'],
    ['{"method":"m","params":1}', 400, -32600, 'Params must be an array or object'],
    ['{"method":"m","jsonrpc":1}', 400, -32600, 'jsonrpc field must be a string'],
    ['{"method":"m","jsonrpc":"9"}', 400, -32600, 'JSON-RPC version not supported'],
    ['{"__proto__":{"method":"m"}}', 400, -32600, 'Missing method'],
  ])('%s', (text, status, code, message) => {
    const answer = reply(text);
    expect(answer.status).toBe(status);
    expect(JSON.parse(answer.body ?? '')).toMatchObject({ result: null, error: { code, message } });
  });

  test('an id that is nested a million deep is refused and not printed', () => {
    const depth = 1_000_000;
    const text = `{"id":${'['.repeat(depth)}${']'.repeat(depth)},"method":"m"}`;
    expect(reply(text).status).toBe(400);
  });
});

describe('named parameters', () => {
  test('given twice are an error that keeps the id', () => {
    const text = '{"id":4,"method":"m","params":{"a":1,"\\u0061":2}}';
    expect(reply(text)).toEqual({
      status: 500,
      body: '{"result":null,"error":{"code":-8,"message":"Parameter a specified multiple times"},"id":4}\n',
    });
    expect(reply(text.replace('{', '{"jsonrpc":"2.0",')).status).toBe(200);
  });

  test('are looked for in the right request of a batch, and only at the top of its parameters', () => {
    const text =
      '[{"method":"m","params":["{",{"a":1,"a":2}]},{"method":"m","params":{"x":{"a":1,"a":1},"y":"\\"}{"}},' +
      '{"method":"m","params":{"b":[{}],"b":2}},{"method":"m","x":{"params":{"c":1,"c":1}},"params":{"c":1}}]';
    const { items } = parseBody(text);
    expect(items.map(({ type }) => type)).toEqual(['call', 'call', 'refused', 'call']);
  });

  test('may be as long as a block', () => {
    const text = `{"method":"m","params":{"hexdata":"${'ab'.repeat(10_000_000)}","x":"${'\\n'.repeat(3_000_000)}"}}`;
    expect(callsOf(parseBody(text))).toHaveLength(1);
  });
});
