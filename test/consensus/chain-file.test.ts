/** Chain files: every field, and what is said of a wrong one. */
import { describe, expect, test } from '@jest/globals';
import { decodeChainFile, encodeChainFile, makeChain } from '../../consensus/chain-file.ts';
import { checkBlock } from '../../consensus/check-block.ts';
import { vinenet } from '../../consensus/params.ts';

const lab = {
  name: 'lab',
  spacingSeconds: 2,
  halfLifeSeconds: 120,
  anchorBits: 0x1f03ffff,
  powLimitBits: 0x2000ffff,
  hrp: 'lab',
  peerPort: 30_001,
  rpcPort: 30_002,
  time: 1_800_000_000,
  text: 'a network for one afternoon',
} as const;
const made = makeChain(lab);
if (!made.ok) throw new Error(made.error.join());
const text = encodeChainFile(made.value);
type Fields = Record<string, unknown> & { genesis: Record<string, unknown> };
const edited = (edit: (fields: Fields) => void): string => {
  const fields = JSON.parse(text) as Fields;
  edit(fields);
  return JSON.stringify(fields);
};

test('a new chain has a genesis of its own, and its file gives the same network again', () => {
  const { value: params } = made;
  expect(checkBlock(params.genesis, params)).toBeNull();
  expect(decodeChainFile(text)).toEqual({ ok: true, value: params });
  expect(params.retargeting).toEqual({ spacing: 2, halfLife: 120, anchorBits: 0x1f03ffff });
  expect(params.maxFutureSeconds).toBe(6);
  const other = makeChain({ ...lab, text: 'another one' });
  expect(other.ok && other.value.genesis.header.hash).not.toBe(params.genesis.header.hash);
  expect(other.ok && other.value.magic).not.toEqual(params.magic);
});

describe('a wrong field is named, with the reason', () => {
  test.each<[string, RegExp, (fields: Fields) => void]>([
    [
      'spacing 0',
      /^spacingSeconds: must be a whole number from 1 to 86400, not 0$/,
      (f) => {
        f['spacingSeconds'] = 0;
      },
    ],
    [
      'a text for a number',
      /^spacingSeconds: .* not "2"$/,
      (f) => {
        f['spacingSeconds'] = '2';
      },
    ],
    [
      'a fraction',
      /^spacingSeconds: .* not 0.5$/,
      (f) => {
        f['spacingSeconds'] = 0.5;
      },
    ],
    [
      'a half-life below 10 spacings',
      /^halfLifeSeconds: must be at least 10 spacings, 20 s$/,
      (f) => {
        f['halfLifeSeconds'] = 19;
        f['maxFutureSeconds'] = 1;
      },
    ],
    [
      'an anchor easier than the limit',
      /^anchorBits: easier than the limit of the network/,
      (f) => {
        f['anchorBits'] = '2001fffe';
      },
    ],
    [
      'bits that are no target',
      /^anchorBits: is no target$/,
      (f) => {
        f['anchorBits'] = '1f800001';
      },
    ],
    [
      'bits in another form',
      /^anchorBits: must be written 1f03ff00$/,
      (f) => {
        f['anchorBits'] = '2000 03ff'.replace(' ', '');
      },
    ],
    [
      'dated too far ahead',
      /^maxFutureSeconds: must be a whole number from 1 to 6, not 7$/,
      (f) => {
        f['maxFutureSeconds'] = 7;
      },
    ],
    [
      'too many coins',
      /^subsidySats: more than 21000000 coins/,
      (f) => {
        f['halvingInterval'] = 300_000;
      },
    ],
    [
      "vinenet's magic",
      /^magic: that of vinenet$/,
      (f) => {
        f['magic'] = 'f9766ed1';
      },
    ],
    [
      'the magic of HTTP',
      /^magic: these bytes are "GET "/,
      (f) => {
        f['magic'] = '47455420';
      },
    ],
    [
      'magic with capitals',
      /^magic: must be 8 lower-case hex digits/,
      (f) => {
        f['magic'] = 'F9766ED2';
      },
    ],
    [
      'one port for both',
      /^rpcPort: must differ/,
      (f) => {
        f['rpcPort'] = 30_001;
      },
    ],
    [
      'a port that is none',
      /^peerPort: .* 1 to 65535, not 65536$/,
      (f) => {
        f['peerPort'] = 65_536;
      },
    ],
    [
      'an HRP with capitals',
      /^hrp: must be 1 to 16 lower-case letters, not "Lab"$/,
      (f) => {
        f['hrp'] = 'Lab';
      },
    ],
    [
      'equal BIP 32 versions',
      /^bip32Private: must differ/,
      (f) => {
        f['bip32Private'] = f['bip32Public'];
      },
    ],
    [
      'a seed without scheme',
      /^seeds: must be a list/,
      (f) => {
        f['seeds'] = ['localhost:1'];
      },
    ],
    [
      'a built-in name',
      /^name: regtest is a built-in network$/,
      (f) => {
        f['name'] = 'regtest';
      },
    ],
    [
      'a name with a path',
      /^name: must be 2 to 32/,
      (f) => {
        f['name'] = '../x';
      },
    ],
    [
      'an unknown field',
      /^spacing: there is no such field; known are name, /,
      (f) => {
        f['spacing'] = 1;
      },
    ],
    [
      'the name of a folder that holds other things',
      /^name: wallets is the name of a folder/,
      (f) => {
        f['name'] = 'wallets';
      },
    ],
    [
      'assumeValid that is no hash',
      /^assumeValid: must be 64/,
      (f) => {
        f['assumeValid'] = 'ab';
      },
    ],
    [
      'another nonce',
      /^genesis.hash: these fields make the block [0-9a-f]{64}/,
      (f) => {
        f.genesis['nonce'] = 4_000_000_000;
      },
    ],
    [
      'a text that is too long',
      /^genesis.text: must be 1 to 75 ASCII characters/,
      (f) => {
        f.genesis['text'] = 'x'.repeat(76);
      },
    ],
    [
      'genesis that is a list',
      /^genesis.text: is missing/,
      (f) => {
        f.genesis = [] as never;
      },
    ],
  ])('%s', (_, message, edit) => {
    const result = decodeChainFile(edited(edit));
    expect(result.ok).toBe(false);
    if (!result.ok) expect(result.error[0]).toMatch(message);
  });

  test.each(Object.keys(JSON.parse(text) as object))('%s is missing', (field) => {
    const result = decodeChainFile(
      edited((fields) => {
        delete fields[field];
      }),
    );
    expect(!result.ok && result.error).toContain(`${field}: is missing`);
  });

  test('several problems are told at once', () => {
    const result = decodeChainFile(
      edited((f) => {
        f['hrp'] = '';
        f['coinType'] = -1;
        f.genesis['bits'] = 'xx';
      }),
    );
    expect(!result.ok && result.error.map((problem) => problem.split(':')[0])).toEqual([
      'hrp',
      'coinType',
      'genesis.bits',
    ]);
  });

  test('what is shown of a wrong file is short, and does not speak to the terminal', () => {
    for (const wrong of ['x'.repeat(100_000), '\u001b[2J\u009b1m\u202e\n', { a: ['y'.repeat(100_000)] }]) {
      for (const field of Object.keys(JSON.parse(text) as object)) {
        const results = [
          edited((f) => {
            f[field] = wrong;
          }),
          edited((f) => {
            f[String(wrong)] = 1;
          }),
          String(wrong),
        ].map(decodeChainFile);
        for (const result of results) {
          expect(result.ok).toBe(false);
          const said = result.ok ? '' : result.error.join();
          expect(said.length).toBeLessThan(700);
          expect(said).not.toMatch(/\p{C}/u);
        }
      }
    }
  });

  test('what is no JSON object', () => {
    expect(decodeChainFile('{')).toMatchObject({ ok: false });
    for (const wrong of ['[]', 'null', '3'])
      expect(decodeChainFile(wrong)).toEqual({ ok: false, error: ['the file must hold one JSON object'] });
  });
});

describe('seeds', () => {
  const withSeeds = (seeds: unknown) =>
    decodeChainFile(
      edited((f) => {
        f['seeds'] = seeds;
      }),
    );

  test('are addresses of nodes: over TCP, or WebSocket with or without a path', () => {
    const seeds = [
      'tcp://1.2.3.4:30001',
      'tcp://[2a00::1]:30001',
      'ws://seed.example.org:30001',
      'ws://Seed.example.org',
      'wss://seed.example.org/peer',
      'wss://seed.example.org:8443/a/b?c=d',
      'wss://[2a00::1]/',
    ];
    expect(withSeeds(seeds)).toEqual({ ok: true, value: { ...made.value, seeds } });
    const result = withSeeds(seeds);
    expect(result.ok && decodeChainFile(encodeChainFile(result.value))).toEqual(result);
  });

  test.each([
    ['no scheme', 'seed.example.org:1'],
    ['another scheme', 'http://seed.example.org:1'],
    ['no host', 'wss://'],
    ['a path over TCP', 'tcp://1.2.3.4:1/peer'],
    ['a space', 'wss://seed.example.org/a b'],
    ['a line break', 'wss://seed.example.org/a\n'],
    ['a fragment', 'wss://seed.example.org/#a'],
    ['port 0', 'tcp://1.2.3.4:0'],
    ['port 65536', 'ws://seed.example.org:65536'],
    ['a user and a password', 'wss://me:secret@seed.example.org'],
    ['IPv6 without brackets', 'tcp://2a00::1:30001'],
    ['what no URL can be made of', 'ws://1.2.3.999:1'],
    ['301 characters', `wss://seed.example.org/${'p'.repeat(278)}`],
    ['no text', 1],
  ])('a seed with %s is a problem', (_what, seed) => {
    expect(withSeeds(['tcp://1.2.3.4:1', seed])).toMatchObject({
      ok: false,
      error: [expect.stringMatching(/^seeds: must be a list of at most 32, each tcp:\/\//)],
    });
  });

  test('more than 32, or no list, are a problem', () => {
    expect(withSeeds(Array(32).fill('tcp://1.2.3.4:1')).ok).toBe(true);
    expect(withSeeds(Array(33).fill('tcp://1.2.3.4:1')).ok).toBe(false);
    expect(withSeeds('tcp://1.2.3.4:1').ok).toBe(false);
  });
});

test("a new chain's own problems are told before any work is done", () => {
  const wrong = makeChain({ ...lab, name: 'X', halfLifeSeconds: 1 });
  expect(!wrong.ok && wrong.error.map((problem) => problem.split(':')[0])).toEqual(['name', 'halfLifeSeconds']);
});

test('a first block that would take hours is not searched for', () => {
  const hard = makeChain({ ...lab, powLimitBits: 0x1c00ffff, anchorBits: 0x1c00ffff });
  expect(hard).toEqual({
    ok: false,
    error: [expect.stringMatching(/^powLimitBits: the first block would cost 1099528405248 hashes/)],
  });
});

test('vinenet itself could be a chain file, but for its name and magic', () => {
  const result = decodeChainFile(encodeChainFile(vinenet));
  expect(!result.ok && result.error.map((problem) => problem.split(':')[0])).toEqual(['name', 'magic']);
});
