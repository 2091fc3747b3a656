/** A node that is killed at random instants loses nothing that it had confirmed. `npm run bench -- kill` does it 200 times. */
import { resolve } from 'node:path';
import { expect, test } from '@jest/globals';
import { killNode } from '../../bench/kill.ts';

const program = resolve(import.meta.dirname, '../../dist/program/grapevine.js');

test('killed five times while it syncs, mines, reorganises and is paid, it agrees with a node that was left alone', async () => {
  const report = await killNode({ times: 5, seed: Number(process.env['SEED'] ?? 1), program });
  expect(report.kills).toBe(5);
  expect(report.height).toBeGreaterThan(100);
}, 120_000);
