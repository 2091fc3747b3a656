/** Timelines: lines of logs read, and merged so that nothing comes before its cause. */
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, test } from '@jest/globals';
import { DevnetFolder } from '../../devnet/folder.ts';
import { makeTimeline, readItemLine, type TraceStep } from '../../devnet/trace.ts';
import { describeTimeline } from '../../devnet/trace-commands.ts';
import { traceItem } from '../../devnet/trace-logs.ts';
import type { ItemStep } from '../../node/boundary.ts';
import { temporaryFolders } from '../support/temporary-folder.ts';

const newFolder = temporaryFolders();
const TXID = 'a'.repeat(64);
const WTXID = 'b'.repeat(64);
const BLOCK = 'c'.repeat(64);
const START = Date.parse('2026-01-01T00:00:00.000Z');

function step(node: string, ms: number, name: ItemStep, peer?: string): TraceStep {
  return { node, time: START + ms, step: name, id: TXID, ...(peer === undefined ? {} : { with: peer }) };
}

const words = (steps: readonly TraceStep[]) =>
  steps.map(({ node, step, with: peer }) => [node, step, ...(peer === undefined ? [] : [peer])].join(' '));

function line(ms: number, step: ItemStep, fields: Record<string, unknown>): string {
  const time = new Date(START + ms).toISOString();
  return `${JSON.stringify({ time, level: 'info', message: 'item', step, item: 'transaction', ...fields })}\n`;
}

describe('a line of a log', () => {
  test('is read as items, with what it says of them', () => {
    expect(readItemLine(line(5, 'accepted', { ids: TXID, wtxid: WTXID, with: 'n1' }))).toEqual({
      time: START + 5,
      step: 'accepted',
      item: 'transaction',
      ids: [TXID],
      wtxid: WTXID,
      with: 'n1',
    });
    expect(readItemLine(line(5, 'announced-by', { ids: `${TXID} ${WTXID}`, with: 'n1' }))?.ids).toHaveLength(2);
  });

  test('is nothing where it tells of something else, or was cut off', () => {
    expect(readItemLine('{"time":"2026-01-01T00:00:00.000Z","level":"info","message":"tip"}')).toBeUndefined();
    expect(readItemLine(line(5, 'accepted', { ids: TXID }).slice(0, -9))).toBeUndefined();
    expect(readItemLine(line(5, 'accepted', { ids: 7 }))).toBeUndefined();
  });
});

describe('a timeline', () => {
  test('goes by time, and counts from the first sight', () => {
    const logs = new Map([
      ['n0', [step('n0', 300, 'delivered-to', 'n1'), step('n0', 400, 'confirmed')]],
      ['n1', [step('n1', 100, 'announced-by', 'n2'), step('n1', 350, 'delivered-by', 'n0')]],
    ]);
    const timeline = makeTimeline(TXID, 'transaction', logs);
    expect(timeline?.steps.map(({ node, sinceMs }) => [node, sinceMs])).toEqual([
      ['n1', 0],
      ['n0', 200],
      ['n1', 250],
      ['n0', 300],
    ]);
    expect(timeline?.firstSeen).toBe(START + 100);
  });

  test('puts what was received behind its sending where both are of one millisecond', () => {
    const logs = new Map([
      // The receiver is listed first: by order of the logs alone, effects would come before causes.
      [
        'n0',
        [
          step('n0', 0, 'announced-by', 'n1'),
          step('n0', 0, 'requested-from', 'n1'),
          step('n0', 0, 'delivered-by', 'n1'),
        ],
      ],
      [
        'n1',
        [
          step('n1', 0, 'accepted'),
          step('n1', 0, 'announced-to', 'n0'),
          step('n1', 0, 'requested-by', 'n0'),
          step('n1', 0, 'delivered-to', 'n0'),
        ],
      ],
    ]);
    expect(words(makeTimeline(TXID, 'transaction', logs)?.steps ?? [])).toEqual([
      'n1 accepted',
      'n1 announced-to n0',
      'n0 announced-by n1',
      'n0 requested-from n1',
      'n1 requested-by n0',
      'n1 delivered-to n0',
      'n0 delivered-by n1',
    ]);
  });

  test('holds every step though two logs contradict each other', () => {
    const logs = new Map([
      ['n0', [step('n0', 0, 'announced-by', 'n1'), step('n0', 0, 'announced-to', 'n1')]],
      ['n1', [step('n1', 0, 'announced-by', 'n0'), step('n1', 0, 'announced-to', 'n0')]],
    ]);
    expect(makeTimeline(TXID, 'transaction', logs)?.steps).toHaveLength(4);
  });

  test('says of each node when it saw and had it, from whom, and what became of it', () => {
    const logs = new Map([
      ['n0', [step('n0', 0, 'accepted'), step('n0', 900, 'confirmed')]],
      [
        'n1',
        [step('n1', 10, 'announced-by', 'n0'), step('n1', 30, 'delivered-by', 'n0'), step('n1', 31, 'accepted', 'n0')],
      ],
      ['n2', [step('n2', 20, 'delivered-by', 'n1'), step('n2', 21, 'rejected', 'n1')]],
    ]);
    expect(makeTimeline(TXID, 'transaction', logs)?.nodes).toEqual([
      { node: 'n0', seenMs: 0, hadMs: 0, outcome: 'confirmed' },
      { node: 'n1', seenMs: 10, hadMs: 31, from: 'n0', outcome: 'accepted' },
      { node: 'n2', seenMs: 20, from: 'n1', outcome: 'rejected' },
    ]);
  });

  test('is none without steps', () => {
    expect(makeTimeline(TXID, 'transaction', new Map([['n0', []]]))).toBeUndefined();
  });
});

describe('the logs of a devnet', () => {
  function devnetWith(logs: Record<string, string>): DevnetFolder {
    const datadir = newFolder();
    const folder = new DevnetFolder(datadir, 'default');
    for (const [name, text] of Object.entries(logs)) {
      mkdirSync(join(folder.path, name.split('/')[0] as string), { recursive: true });
      writeFileSync(join(folder.path, name), text);
    }
    return folder;
  }

  const logs = {
    'n0/node.log': `{"message":"tip"}\n${line(0, 'accepted', { ids: TXID, wtxid: WTXID, reason: 'local' })}${line(900, 'confirmed', { ids: `${'d'.repeat(64)} ${TXID}`, block: BLOCK, height: 7 })}`,
    'n10/node.log': line(400, 'announced-by', { ids: WTXID, with: 'n2' }),
    'n2/node.log': line(300, 'delivered-by', { ids: TXID, wtxid: WTXID, with: 'n0' }),
    'n2/node.log.1': line(200, 'announced-by', { ids: WTXID, with: 'n0' }),
  };

  test('are read with the older files, and lead from a txid to its wtxid and back', async () => {
    const folder = devnetWith(logs);
    const timeline = await traceItem(folder, TXID.toUpperCase());
    expect(words(timeline.steps)).toEqual([
      'n0 accepted',
      'n2 announced-by n0',
      'n2 delivered-by n0',
      'n10 announced-by n2',
      'n0 confirmed',
    ]);
    expect(timeline).toMatchObject({ id: TXID, wtxids: [WTXID], item: 'transaction' });
    expect(await traceItem(folder, WTXID)).toEqual(timeline);
  });

  test('name blocks apart from the transactions in them', async () => {
    const folder = devnetWith({
      ...logs,
      'n1/node.log': line(950, 'connected', { ids: BLOCK, item: 'block', height: 7 }),
    });
    const timeline = await traceItem(folder, BLOCK);
    expect(timeline.item).toBe('block');
    expect(words(timeline.steps)).toEqual(['n1 connected']);
  });

  test('that name nothing are an error, as is what is no id', async () => {
    const folder = devnetWith(logs);
    await expect(traceItem(folder, 'e'.repeat(64))).rejects.toMatchObject({ exit: 1, code: 'not-traced' });
    await expect(traceItem(folder, TXID.slice(1))).rejects.toMatchObject({ exit: 2 });
    await expect(traceItem(new DevnetFolder(newFolder(), 'none'), TXID)).rejects.toMatchObject({ code: 'not-traced' });
  });

  test('become a text with the milliseconds, the nodes and the reasons', async () => {
    const text = describeTimeline(await traceItem(devnetWith(logs), TXID));
    expect(text).toContain(`Transaction ${TXID}, wtxid ${WTXID}`);
    expect(text).toMatch(/^ +0 {2}n0 +accepted +from a user of this node$/m);
    expect(text).toMatch(/^ *300 {2}n2 +delivered by +n0$/m);
    expect(text).toMatch(/^ *900 {2}n0 +confirmed +height 7, block cccccccccccccccc…$/m);
    expect(text).toMatch(/^n2 +200 ms +- +n0 +delivered-by$/m);
  });
});
