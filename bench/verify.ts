/**
 * BIP 340 verifications through the pool of a node, with one worker and with two: each backend that loads here, against
 * noble and against the libsecp256k1 of the system. All take part in each round, so that a busy machine slows all of them.
 */
import { sha256 } from '#hash';
import { concatBytes } from '../consensus/codec.ts';
import { CHECK_SIZE, signSchnorr, xOnlyPublicKey } from '../consensus/signature.ts';
import type { JobId } from '../node/boundary.ts';
import { WorkerPool } from '../node/runtime/worker-pool.ts';
import { type BackendName, backendNames } from '../node/verify/backend.ts';
import { figure, median } from './figures.ts';

export const about = 'BIP 340 verifications per second, by backend and number of workers';

const ROUNDS = 5;
/** Signatures that differ; a round repeats them. */
const SIGNATURES = 256;
/** Checks in a round: some 0.4 s for each backend. */
const CHECKS: Readonly<Record<BackendName, number>> = { system: 8192, native: 4096, wasm: 2048, noble: 128 };

interface Contestant {
  readonly name: BackendName;
  readonly workers: number;
  readonly pool: WorkerPool;
  /** Verifies the checks; resolves when the answer is there. */
  verify(checks: Uint8Array): Promise<void>;
  readonly rates: number[];
}

export async function run(): Promise<void> {
  const signed = makeChecks();
  const contestants: Contestant[] = [];
  try {
    for (const name of backendNames) {
      for (const workers of [1, 2]) {
        const contestant = await enter(name, workers);
        if (contestant === undefined) break;
        contestants.push(contestant);
        await measure(contestant, signed); // Starts the threads and warms them up.
      }
    }
    for (let round = 0; round < ROUNDS; round++) {
      for (const contestant of contestants) contestant.rates.push(await measure(contestant, signed));
    }
  } finally {
    for (const { pool } of contestants) await pool.close();
  }
  const single = (wanted: BackendName) =>
    contestants.find(({ name, workers }) => name === wanted && workers === 1)?.rates;
  for (const { name, workers, rates } of contestants) {
    const against = (['noble', 'system'] as const).flatMap((other) => {
      const base = single(other);
      return base === undefined || base === rates ? [] : [`${ratio(rates, base)} × ${other}`];
    });
    figure(`${name}, ${workers === 1 ? '1 worker' : `${workers} workers`}`, median(rates), '/s', against.join(', '));
  }
}

/** A pool of that backend, or undefined with a line that says why there is none. */
async function enter(name: BackendName, workers: number): Promise<Contestant | undefined> {
  // A thread takes the environment as it is when it starts.
  process.env['GRAPEVINE_VERIFY'] = name;
  let onAnswer: (failed: number | null) => void = () => undefined;
  const pool = new WorkerPool({
    maxThreads: workers,
    emit: (event) => {
      if (event.type === 'verified') onAnswer(event.failed);
    },
    onFailure: (error) => {
      throw error;
    },
  });
  const verifier = await pool.verifier();
  if (!verifier.ok) {
    process.stdout.write(`${verifier.error}\n`);
    return undefined;
  }
  let job = 0;
  const verify = (checks: Uint8Array) =>
    new Promise<void>((resolve, reject) => {
      onAnswer = (failed) => (failed === null ? resolve() : reject(new Error(`${name} refuses check ${failed}`)));
      pool.verify(job++ as JobId, checks);
    });
  return { name, workers, pool, verify, rates: [] };
}

/** Checks per second. */
async function measure({ name, workers, verify }: Contestant, signed: Uint8Array): Promise<number> {
  const count = CHECKS[name] * workers;
  const checks = new Uint8Array(count * CHECK_SIZE);
  for (let at = 0; at < checks.length; at += signed.length) {
    checks.set(signed.subarray(0, Math.min(signed.length, checks.length - at)), at);
  }
  const start = performance.now();
  await verify(checks);
  return (count / (performance.now() - start)) * 1000;
}

/** The middle of the ratios of the rounds. */
function ratio(rates: readonly number[], base: readonly number[]): string {
  const value = median(rates.map((rate, round) => rate / (base[round] as number)));
  return value.toFixed(value < 10 ? 2 : 0);
}

function makeChecks(): Uint8Array {
  const parts: Uint8Array[] = [];
  for (let i = 0; i < SIGNATURES; i++) {
    const secret = sha256(new TextEncoder().encode(`bench ${i}`));
    const message = sha256(secret);
    parts.push(xOnlyPublicKey(secret), message, signSchnorr(secret, message, new Uint8Array(32)));
  }
  return concatBytes(...parts);
}
