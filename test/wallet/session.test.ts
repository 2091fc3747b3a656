/** Unlocked wallets: what the process behind them does, played in this one, on a clock that tests set. */
import {
  chmodSync,
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { connect } from 'node:net';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from '@jest/globals';
import { globalOptions } from '../../node/commands/cli.ts';
import { keyOfPassword, readWallet, type Wallet } from '../../wallet/keystore.ts';
import { endSession, type SessionLauncher, sessionEnd, sessionSecret, startSession } from '../../wallet/session.ts';
import { SessionAgent, type SessionClock } from '../../wallet/session-agent.ts';
import { unlockWallet } from '../../wallet/unlock.ts';
import { catchOutput } from './command-line.ts';
import { BTC, errorOf, json, PASSWORD, Playground } from './playground.ts';

const play = new Playground();
const MNEMONIC = 'legal winner thank year wave sausage worth useful legal winner thank yellow';

/** A clock that stands still until it is told otherwise. */
class TestClock implements SessionClock {
  #now = 0;
  #due: { readonly at: number; readonly action: () => void }[] = [];

  now(): number {
    return this.#now;
  }

  after(ms: number, action: () => void): () => void {
    const entry = { at: this.#now + ms, action };
    this.#due.push(entry);
    return () => {
      this.#due = this.#due.filter((other) => other !== entry);
    };
  }

  /** What is due meanwhile happens, unless the machine sleeps. */
  pass(ms: number, asleep = false): void {
    this.#now += ms;
    if (asleep) return;
    for (const { action } of this.#due.filter(({ at }) => at <= this.#now)) action();
  }
}

let clock: TestClock;
let agents: SessionAgent[];
let folder: string;
let wallet: Wallet;

const launch: SessionLauncher = async (request) => {
  const agent = new SessionAgent(request, clock);
  agents.push(agent);
  await agent.listen();
};

beforeEach(async () => {
  clock = new TestClock();
  agents = [];
  folder = play.newFolder();
  process.env['XDG_RUNTIME_DIR'] = folder;
  wallet = readWallet(await play.makeWallet('savings')) as Wallet;
});

afterEach(async () => {
  for (const agent of agents) agent.end();
  await Promise.all(agents.map(({ ended }) => ended));
  delete process.env['XDG_RUNTIME_DIR'];
});

const sockets = () => (existsSync(join(folder, 'grapevine')) ? readdirSync(join(folder, 'grapevine')) : []);

async function unlock(ms: number): Promise<void> {
  await startSession(wallet, await keyOfPassword(wallet, PASSWORD), clock.now() + ms, launch);
}

describe('an unlocked wallet', () => {
  test('gives its secret until the time is over, and then forgets it', async () => {
    expect(await sessionSecret(wallet)).toBeUndefined();
    await unlock(600_000);
    expect(await sessionSecret(wallet)).toEqual({ mnemonic: MNEMONIC });
    expect(await sessionEnd(wallet)).toBe(600_000);
    clock.pass(599_999);
    expect(await sessionSecret(wallet)).toEqual({ mnemonic: MNEMONIC });
    clock.pass(1);
    await agents[0]?.ended;
    expect(await sessionSecret(wallet)).toBeUndefined();
    expect(sockets()).toEqual([]);
  });

  test('is locked after its time even where the timer slept with the machine', async () => {
    await unlock(600_000);
    clock.pass(600_000, true);
    expect(await sessionSecret(wallet)).toBeUndefined();
    await agents[0]?.ended;
  });

  test('is locked by hand, once', async () => {
    await unlock(600_000);
    expect(await endSession(wallet)).toBe(true);
    expect(await sessionSecret(wallet)).toBeUndefined();
    expect(await endSession(wallet)).toBe(false);
    await agents[0]?.ended;
  });

  test('that is unlocked again has the new time only', async () => {
    await unlock(1_000);
    await unlock(600_000);
    await agents[0]?.ended;
    expect(await sessionEnd(wallet)).toBe(600_000);
    expect(sockets()).toHaveLength(1);
    clock.pass(1_000);
    expect(await sessionSecret(wallet)).toEqual({ mnemonic: MNEMONIC });
  });

  test('whose agent was killed is locked, and can be unlocked again', async () => {
    await unlock(600_000);
    const [name] = sockets();
    await endSession(wallet);
    // What a killed process leaves behind: a name that nobody listens at.
    writeFileSync(join(folder, 'grapevine', name as string), '');
    expect(await sessionSecret(wallet)).toBeUndefined();
    await unlock(600_000);
    expect(await sessionSecret(wallet)).toEqual({ mnemonic: MNEMONIC });
  });

  test('of another file, by the same name and path, is locked', async () => {
    await unlock(600_000);
    writeFileSync(wallet.path, readFileSync(wallet.path, 'utf8'));
    const before = readWallet(wallet.path) as Wallet;
    expect(await sessionSecret(before)).toEqual({ mnemonic: MNEMONIC });
    const other = readWallet(await play.makeWallet('other')) as Wallet;
    expect(await sessionSecret({ ...other, path: wallet.path })).toBeUndefined();
    expect(await sessionSecret(other)).toBeUndefined();
  });

  test('leaves nothing on the disk but a socket that is its owner’s', async () => {
    await unlock(600_000);
    const [name = ''] = sockets();
    const status = statSync(join(folder, 'grapevine', name));
    expect([status.isSocket(), status.mode & 0o777]).toEqual([true, 0o600]);
    expect(statSync(join(folder, 'grapevine')).mode & 0o777).toBe(0o700);
  });

  test('answers nobody who sends nonsense or too much', async () => {
    await unlock(600_000);
    const [name = ''] = sockets();
    const exchange = (text: string) =>
      new Promise<string>((resolve) => {
        const socket = connect(join(folder, 'grapevine', name));
        let answer = '';
        socket.on('data', (part) => {
          answer += part.toString();
        });
        socket.on('error', () => undefined);
        socket.on('close', () => resolve(answer));
        socket.write(text);
      });
    for (const text of ['\n', '{"op":"keys"}\n', '{}\n', 'key\n']) {
      expect(JSON.parse(await exchange(text))).toEqual({ expiresAtMs: 600_000 });
    }
    expect(await exchange('x'.repeat(5000))).toBe('');
    expect(await sessionSecret(wallet)).toEqual({ mnemonic: MNEMONIC });
  });

  test('is not kept in a folder that others can look into, or that is a link to one', async () => {
    mkdirSync(join(folder, 'grapevine'), { mode: 0o755 });
    chmodSync(join(folder, 'grapevine'), 0o755);
    await expect(unlock(1000)).rejects.toMatchObject({ code: 'unlock-folder' });
    process.env['XDG_RUNTIME_DIR'] = play.newFolder();
    symlinkSync(folder, join(process.env['XDG_RUNTIME_DIR'], 'grapevine'));
    await expect(unlock(1000)).rejects.toMatchObject({ code: 'unlock-folder' });
    expect(agents).toEqual([]);
  });
});

describe('wallet unlock and wallet lock', () => {
  const options = () => globalOptions({ datadir: play.devnet.datadir, json: true, quiet: true });

  test('spare the password in between', async () => {
    await play.fundWallet('savings', 5n * BTC);
    const pay = () => play.run('send', 'bob', '0.1btc', '--account', 'savings', '--yes', '--json');
    expect(errorOf(await pay()).code).toBe('password-needed');
    process.env['GRAPEVINE_PASSWORD'] = PASSWORD;
    const unlocked = await catchOutput(async () => {
      await unlockWallet(options(), 'savings', { time: '24h', passwordFile: undefined }, launch);
      return 0;
    });
    expect(json(unlocked)).toMatchObject({ account: 'savings', locked: false, until: expect.any(Number) });
    delete process.env['GRAPEVINE_PASSWORD'];
    const list = JSON.parse((await play.run('list', '--json')).stdout) as { name: string; keys: string }[];
    expect(list.find(({ name }) => name === 'savings')?.keys).toBe('unlocked');
    expect((await pay()).exit).toBe(0);
    expect(json(await play.run('lock', 'savings', '--json'))).toEqual({ account: 'savings', locked: true, ended: 1 });
    expect(errorOf(await pay()).code).toBe('password-needed');
    expect((await play.run('lock', 'savings')).stdout).toBe('savings was locked already\n');
  });

  test('lock without a name locks all', async () => {
    await unlock(600_000);
    expect((await play.run('lock')).stdout).toBe('1 wallet is locked\n');
    expect((await play.run('lock')).stdout).toBe('no wallet was unlocked\n');
  });

  test('a wrong password unlocks nothing and starts nothing', async () => {
    process.env['GRAPEVINE_PASSWORD'] = 'wrong';
    const run = await play.run('unlock', 'savings', '--json');
    expect([run.exit, errorOf(run).code]).toEqual([1, 'wrong-password']);
    expect(sockets()).toEqual([]);
  });

  test.each([
    [['alice'], 2, 'unknown-account'],
    [['default/alice'], 2, 'usage'],
    [['savings', '--for', '25h'], 2, 'usage'],
    [['savings', '--for', '0s'], 2, 'usage'],
    [['savings', '--for', '-5m'], 2, 'usage'],
    [['savings', '--for', 'soon'], 2, 'usage'],
    [['savings'], 5, 'password-needed'],
    [['savings', '--password-file', '/nowhere'], 2, 'password-file'],
  ])('unlock %j is exit %d, %s', async (args, exit, code) => {
    const run = await play.run('unlock', ...args, '--json');
    expect([run.exit, errorOf(run).code]).toEqual([exit, code]);
  });
});
