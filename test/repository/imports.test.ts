/** Who may import whom (the table below), and where clocks, timers, chance and the console may not be used at all. */
import { readdirSync, readFileSync } from 'node:fs';
import { dirname, join, relative, resolve, sep } from 'node:path';
import { describe, expect, test } from '@jest/globals';

const root = resolve(import.meta.dirname, '../..');
const folders = ['consensus', 'node', 'wallet', 'devnet', 'bench', 'test'];

interface Import {
  readonly file: string;
  /** A path from the root for our own files, else the package's name. */
  readonly target: string;
  readonly typeOnly: boolean;
}

function sourceFiles(folder: string): string[] {
  return readdirSync(join(root, folder), { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile() && entry.name.endsWith('.ts'))
    .map((entry) => relative(root, join(entry.parentPath, entry.name)).split(sep).join('/'))
    .sort();
}

/** Comments and string contents removed, so that prose about `Date.now` is not taken for its use. */
function codeOf(file: string): string {
  return readFileSync(join(root, file), 'utf8')
    .replace(/\/\*[\s\S]*?\*\//g, '')
    .replace(/(^|[^:'"`])\/\/.*$/gm, '$1');
}

function importsOf(file: string): Import[] {
  const found: Import[] = [];
  const code = codeOf(file);
  const patterns = [
    /\b(?:import|export)\s+(type\s+)?([^'";]*?)\s*from\s*['"]([^'"]+)['"]/g,
    /\bimport\s*()()['"]([^'"]+)['"]/g,
    /\bimport\s*\(\s*()()['"]([^'"]+)['"]/g,
  ];
  for (const pattern of patterns) {
    for (const [, type, names, specifier] of code.matchAll(pattern)) {
      const clause = (names ?? '').trim();
      const everyNameIsType =
        clause.startsWith('{') &&
        clause
          .replace(/[{}]/g, '')
          .split(',')
          .map((name) => name.trim())
          .filter((name) => name !== '')
          .every((name) => name.startsWith('type '));
      const target = (specifier as string).startsWith('.')
        ? relative(root, resolve(root, dirname(file), specifier as string))
            .split(sep)
            .join('/')
        : (specifier as string);
      found.push({ file, target, typeOnly: Boolean(type) || everyNameIsType });
    }
  }
  return found;
}

const files = folders.flatMap(sourceFiles);
const imports = files.flatMap(importsOf);

const machines = ['chain', 'peer', 'sync', 'mempool', 'discovery', 'mining', 'rpc'];
const sharedByMachines = [
  'node/ports.ts',
  'node/boundary.ts',
  'node/effect.ts',
  'node/limits.ts',
  'node/netgroup.ts',
  'node/random.ts',
  'node/rolling-set.ts',
  'node/slow-line.ts',
];
const isPureWalletFile = (file: string) => pureWalletFiles.includes(file);
const pureWalletFiles = [
  'amount',
  'build-transaction',
  'coin-selection',
  'duration',
  'key-place',
  'keys',
  'replacement',
  'signing',
].map((name) => `wallet/${name}.ts`);
const isOurs = (target: string) => folders.some((folder) => target.startsWith(`${folder}/`));

/** Why this import is against the rules, or undefined. */
function breach({ file, target, typeOnly }: Import): string | undefined {
  const inFolder = (path: string, folder: string) => path.startsWith(`${folder}/`);
  if (!inFolder(file, 'test') && inFolder(target, 'test')) return 'nothing imports test';
  if (inFolder(file, 'consensus')) {
    if (inFolder(target, 'consensus') || target === '#hash') return undefined;
    if (target.startsWith('@noble/') || target === '@scure/base') return undefined;
    if (file === 'consensus/hash-node.ts' && target === 'node:crypto') return undefined;
    return 'consensus is pure: @noble and @scure/base only';
  }
  if (inFolder(file, 'node/wire')) {
    if (inFolder(target, 'consensus') || inFolder(target, 'node/wire') || target === '#hash') return undefined;
    if (typeOnly && sharedByMachines.includes(target)) return undefined;
    return 'wire imports consensus only';
  }
  const machine = machines.find((name) => inFolder(file, `node/${name}`));
  if (machine !== undefined) {
    if (typeOnly && isOurs(target))
      return inFolder(target, 'node/runtime') ? 'machines do not know runtime' : undefined;
    if (inFolder(target, 'consensus') || inFolder(target, 'node/wire') || target === '#hash') return undefined;
    if (inFolder(target, `node/${machine}`) || sharedByMachines.includes(target)) return undefined;
    if (target === 'node/chain/schema.ts') return undefined;
    if (file === 'node/rpc/psbt-format.ts' && target.startsWith('@scure/btc-signer/')) return undefined;
    if (target.startsWith('@noble/') || target === '@scure/base') return undefined;
    return 'a machine imports consensus, wire, ports and the boundary, never another machine';
  }
  const mayImportRuntime =
    inFolder(file, 'node/runtime') ||
    inFolder(file, 'node/commands') ||
    inFolder(file, 'test') ||
    inFolder(file, 'bench') ||
    file === 'devnet/processes.ts';
  if (inFolder(target, 'node/runtime') && !mayImportRuntime) return 'only commands and devnet/processes import runtime';
  const coreFiles = [
    'node/node.ts',
    'node/overlay.ts',
    'node/requests.ts',
    'node/transaction-flow.ts',
    ...sharedByMachines,
  ];
  if (coreFiles.includes(file) || inFolder(file, 'devnet/sim') || inFolder(file, 'node/verify')) {
    if (target.startsWith('node:') && !(inFolder(file, 'node/verify') && target === 'node:module')) {
      return 'the core and the simulator do no I/O';
    }
  }
  if (isPureWalletFile(file)) {
    if (inFolder(target, 'consensus') || target === '#hash' || isPureWalletFile(target)) return undefined;
    if (target.startsWith('@noble/') || target.startsWith('@scure/')) return undefined;
    return 'the pure files of the wallet import consensus only';
  }
  return undefined;
}

describe('imports', () => {
  test('the files are found and their imports are read', () => {
    expect(files).toContain('consensus/codec.ts');
    expect(imports.some(({ file, target }) => file === 'consensus/codec.ts' && target === 'consensus/brand.ts')).toBe(
      true,
    );
    expect(imports.length).toBeGreaterThan(50);
    for (const file of pureWalletFiles) expect(files).toContain(file);
  });

  test('a machine that imports another machine, and consensus that imports node, are breaches', () => {
    const of = (file: string, target: string, typeOnly = false) => breach({ file, target, typeOnly });
    expect(of('node/sync/header-sync.ts', 'node/chain/header-tree.ts')).toBeDefined();
    expect(of('node/sync/header-sync.ts', 'node/chain/header-tree.ts', true)).toBeUndefined();
    expect(of('consensus/pow.ts', 'node:crypto')).toBeDefined();
    expect(of('node/node.ts', 'node/runtime/driver.ts')).toBeDefined();
    expect(of('wallet/keys.ts', 'node:fs')).toBeDefined();
    expect(of('node/ports.ts', 'test/support/chain-builder.ts')).toBeDefined();
  });

  test('every import is allowed', () => {
    const breaches = imports.flatMap((one) => {
      const why = breach(one);
      return why === undefined ? [] : [`${one.file} imports ${one.target}: ${why}`];
    });
    expect(breaches).toEqual([]);
  });
});

describe('hidden inputs', () => {
  const forbidden =
    /\bDate\.now\b|\bnew Date\(\)|\bperformance\.now\b|\bMath\.random\b|\bset(?:Timeout|Interval|Immediate)\b|\bqueueMicrotask\b|\bconsole\./;
  const isPure = (file: string) =>
    file.startsWith('consensus/') ||
    isPureWalletFile(file) ||
    file.startsWith('devnet/sim/') ||
    (file.startsWith('node/') && !file.startsWith('node/runtime/') && !file.startsWith('node/commands/'));

  test('the pattern knows what it looks for', () => {
    for (const code of ['Date.now()', 'performance.now()', 'Math.random()', 'setTimeout(f, 1)', 'console.log(1)']) {
      expect(code).toMatch(forbidden);
    }
  });

  test('clocks, timers, chance and the console stay out of the pure folders', () => {
    const uses = files.filter(isPure).flatMap((file) => {
      const lines = codeOf(file).split('\n');
      return lines.filter((line) => forbidden.test(line)).map((line) => `${file}: ${line.trim()}`);
    });
    expect(uses).toEqual([]);
  });
});
