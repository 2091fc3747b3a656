/** The threads, with the built worker: every job is answered once, rightly, and no cancelled one is. */
import { afterEach, describe, expect, test } from '@jest/globals';
import { sha256d } from '#hash';
import { concatBytes } from '../../../consensus/codec.ts';
import { CHECK_SIZE, signSchnorr, xOnlyPublicKey } from '../../../consensus/signature.ts';
import type { JobId } from '../../../node/boundary.ts';
import { SeededRandom } from '../../../node/random.ts';
import { WorkerPool } from '../../../node/runtime/worker-pool.ts';

type Answer = Parameters<ConstructorParameters<typeof WorkerPool>[0]['emit']>[0];

let pool: WorkerPool | undefined;
afterEach(async () => {
  await pool?.close();
});

/** A pool, and a function that waits until it has given so many answers in all. */
function startPool({ maxThreads = 2, miningShare = 1 } = {}) {
  const answers: Answer[] = [];
  let wake = () => {};
  const started = new WorkerPool({
    maxThreads,
    miningShare,
    emit: (answer) => {
      answers.push(answer);
      wake();
    },
    onFailure: (error) => {
      throw error;
    },
  });
  pool = started;
  const until = async (count: number) => {
    while (answers.length < count) {
      await new Promise<void>((resolve) => {
        wake = resolve;
      });
    }
    return answers;
  };
  return { pool: started, answers, until };
}

const job = (id: number) => id as JobId;

const check = (() => {
  const random = new SeededRandom('worker pool');
  const secret = random.bytes(32);
  const message = random.bytes(32);
  return concatBytes(xOnlyPublicKey(secret), message, signSchnorr(secret, message, random.bytes(32)));
})();

/** So many equal checks that hold, but for those at the given indexes. */
function checks(count: number, broken: readonly number[] = []): Uint8Array {
  const bytes = new Uint8Array(count * CHECK_SIZE);
  for (let i = 0; i < count; i++) bytes.set(check, i * CHECK_SIZE);
  for (const index of broken) bytes[index * CHECK_SIZE + 40] = (bytes[index * CHECK_SIZE + 40] ?? 0) ^ 1;
  return bytes;
}

const EASY = 0x207fffff;
const HARD = 0x1d00ffff;

describe('signature checks', () => {
  test('of a job that is spread over threads and tasks fail at the lowest index', async () => {
    const { pool, until } = startPool();
    pool.verify(job(1), checks(1500, [1400, 700, 90]));
    pool.verify(job(2), checks(1500));
    pool.verify(job(3), checks(1, [0]));
    const answers = await until(3);
    const failed = new Map(answers.map((answer) => [answer.job, answer.type === 'verified' ? answer.failed : 'mined']));
    expect([...failed].sort()).toEqual([
      [1, 90],
      [2, null],
      [3, 0],
    ]);
  });

  test('of many small jobs are each answered once', async () => {
    const { pool, answers, until } = startPool();
    for (let id = 0; id < 300; id++) pool.verify(job(id), checks(1, id % 50 === 7 ? [0] : []));
    await until(300);
    expect(answers).toHaveLength(300);
    for (const answer of answers) {
      expect(answer).toEqual({ type: 'verified', job: answer.job, failed: answer.job % 50 === 7 ? 0 : null });
    }
  });

  test('of a few jobs that keep coming while others are under way are all answered', async () => {
    const { pool, answers, until } = startPool();
    let sent = 0;
    // As from callers on several connections: a new job for each answer.
    for (let wanted = 0; sent < 400; wanted++) {
      while (sent < wanted + 7) pool.verify(job(sent), checks(1 + (sent++ % 20)));
      await until(wanted + 1);
    }
    await until(sent);
    expect(answers.map((answer) => answer.job).sort((a, b) => a - b)).toEqual(
      Array.from({ length: sent }, (_, id) => id),
    );
  });

  test('hold where there are none', async () => {
    const { pool, until } = startPool();
    pool.verify(job(1), new Uint8Array(0));
    expect(await until(1)).toEqual([{ type: 'verified', job: 1, failed: null }]);
    expect(pool.threads).toBe(0);
  });

  test('leave the bytes of the caller as they are, also when they are part of larger ones', async () => {
    const { pool, until } = startPool();
    const large = checks(3, [0]);
    pool.verify(job(1), large.subarray(CHECK_SIZE));
    expect(await until(1)).toEqual([{ type: 'verified', job: 1, failed: null }]);
    expect(large).toHaveLength(3 * CHECK_SIZE);
  });

  test('that were cancelled are not answered', async () => {
    const { pool, answers, until } = startPool({ maxThreads: 1 });
    pool.verify(job(1), checks(600));
    pool.verify(job(2), checks(5000));
    pool.verify(job(3), checks(1));
    pool.cancel(job(2));
    await until(2);
    expect(answers.map((answer) => answer.job)).toEqual([1, 3]);
  });
});

describe('the pool', () => {
  test('says by what it verifies, and keeps no thread for it', async () => {
    const { pool } = startPool();
    const verifier = await pool.verifier();
    expect(verifier).toEqual({
      ok: true,
      value: { backend: expect.any(String), library: expect.any(String), workers: 2 },
    });
    expect(pool.threads).toBe(0);
  });

  test('is closed in the middle of work without an answer, and takes nobody with it', async () => {
    for (let round = 0; round < 4; round++) {
      const { pool, answers } = startPool();
      const asked = pool.verifier();
      pool.verify(job(1), checks(2000));
      await new Promise((resolve) => setTimeout(resolve, round * 25));
      await pool.close();
      expect(answers).toEqual([]);
      expect((await asked).ok).toBe(true);
    }
  });
});

describe('mining', () => {
  const header = new Uint8Array(80).fill(5);

  test('finds a nonce that meets the target, with one thread where one is enough', async () => {
    const { pool, until } = startPool();
    pool.mine(job(1), header, EASY, 2 ** 32);
    const [answer] = await until(1);
    if (answer?.type !== 'mined' || answer.nonce === null) throw new Error('nothing was mined');
    expect(answer.hashes).toBeGreaterThan(0);
    const mined = header.slice();
    new DataView(mined.buffer).setUint32(76, answer.nonce, true);
    expect(sha256d(mined)[31]).toBeLessThan(0x80);
    expect(pool.threads).toBe(1);
  });

  test('takes about the share of the time that it may', async () => {
    const rate = async (miningShare: number) => {
      const { pool, until } = startPool({ miningShare, maxThreads: 1 });
      pool.mine(job(1), header, HARD, 65_536);
      await until(1); // The thread is there, and has the kernel.
      const began = performance.now();
      pool.mine(job(2), header, HARD, 16 * 65_536);
      await until(2);
      const took = performance.now() - began;
      await pool.close();
      return took;
    };
    const [all, quarter] = [await rate(1), await rate(0.25)];
    expect(quarter / all).toBeGreaterThan(2);
  });

  test('gives up after as many nonces as it may try', async () => {
    const { pool, until } = startPool();
    pool.mine(job(1), header, HARD, 100_000);
    expect(await until(1)).toMatchObject([{ type: 'mined', job: 1, nonce: null, hashes: 100_000 }]);
  });

  test('goes on until it is cancelled, and checks come in between', async () => {
    const { pool, answers, until } = startPool();
    pool.mine(job(1), header, HARD, 2 ** 32);
    for (let id = 2; id < 5; id++) {
      pool.verify(job(id), checks(10));
      await until(id - 1);
    }
    pool.cancel(job(1));
    pool.mine(job(9), header, EASY, 2 ** 32);
    await until(4);
    expect(answers.map((answer) => answer.job)).toEqual([2, 3, 4, 9]);
  });
});
