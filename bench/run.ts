/**
 * `npm run bench -- NAME`: runs one bench and prints its figures. Without a name it lists them.
 * A bench prints numbers with their unit and what they are compared with; it never fails for being slow.
 */
import { cpus } from 'node:os';

interface Bench {
  readonly about: string;
  run(args: readonly string[]): Promise<void>;
}

const benches: Readonly<Record<string, () => Promise<Bench>>> = {
  attack: () => import('./attack.ts'),
  'connect-block': () => import('./connect-block.ts'),
  devnet: () => import('./devnet.ts'),
  difficulty: () => import('./difficulty.ts'),
  'idle-peers': () => import('./idle-peers.ts'),
  'initial-sync': () => import('./initial-sync.ts'),
  kill: () => import('./kill.ts'),
  'mempool-accept': () => import('./mempool-accept.ts'),
  'mempool-size': () => import('./mempool-size.ts'),
  messages: () => import('./messages.ts'),
  mine: () => import('./mine.ts'),
  node: () => import('./node.ts'),
  overlay: () => import('./overlay.ts'),
  reorg: () => import('./reorg.ts'),
  start: () => import('./start.ts'),
  verify: () => import('./verify.ts'),
  'wallet-balance': () => import('./wallet-balance.ts'),
};

const [name, ...args] = process.argv.slice(2);
const load = name !== undefined && Object.hasOwn(benches, name) ? benches[name] : undefined;
if (load === undefined) {
  for (const [key, bench] of Object.entries(benches))
    process.stdout.write(`${key.padEnd(14)} ${(await bench()).about}\n`);
  if (name !== undefined) {
    process.stderr.write(`error: there is no bench ${name}\nhint: npm run bench lists them\n`);
    process.exitCode = 2;
  }
} else {
  process.stdout.write(`node ${process.version}, ${cpus().length} × ${cpus()[0]?.model.trim() ?? 'unknown'}\n`);
  await (await load()).run(args);
}
