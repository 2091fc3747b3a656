/** What block files on disk do beyond the contract: their layout, restarts, a record cut short by a crash, full files. */
import { appendFileSync, readdirSync, readFileSync, statSync, truncateSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, test } from '@jest/globals';
import { bytesToHex, hexToBytes } from '#hash';
import { StoreDamage } from '../../../node/ports.ts';
import { DiskBlockFiles } from '../../../node/runtime/block-files.ts';
import { temporaryFolders } from '../../support/temporary-folder.ts';

const newFolder = temporaryFolders();
const magic = hexToBytes('fabfb5da');
const body = (fill: number, length = 100) => new Uint8Array(length).fill(fill);

describe('block files on disk', () => {
  test('have the layout of Bitcoin Core: magic, length, block', () => {
    const folder = newFolder();
    const files = new DiskBlockFiles(folder, magic);
    const place = files.append(Uint8Array.of(1, 2, 3));
    expect(place).toMatchObject({ file: 0, offset: 8, length: 3 });
    expect(bytesToHex(readFileSync(join(folder, 'blk00000.dat')))).toBe('fabfb5da03000000010203');
    files.close();
  });

  test('go on where they ended, and still read what was there', async () => {
    const folder = newFolder();
    let files = new DiskBlockFiles(folder, magic);
    const first = files.append(body(1));
    await files.sync();
    files.close();
    files = new DiskBlockFiles(folder, magic);
    const second = files.append(body(2));
    expect(second.offset).toBe(first.offset + 108);
    expect(files.read(first)).toEqual(body(1));
    expect(files.read(second)).toEqual(body(2));
    expect(files.size).toBe(216);
    files.close();
  });

  test('write behind a record that a crash cut short', () => {
    const folder = newFolder();
    let files = new DiskBlockFiles(folder, magic);
    const whole = files.append(body(1));
    files.close();
    appendFileSync(join(folder, 'blk00000.dat'), hexToBytes('fabfb5da64000000ffff'));
    files = new DiskBlockFiles(folder, magic);
    const after = files.append(body(3));
    expect(files.read(whole)).toEqual(body(1));
    expect(files.read(after)).toEqual(body(3));
    files.close();
  });

  test('call a body damaged that is cut short or overwritten', () => {
    const folder = newFolder();
    const files = new DiskBlockFiles(folder, magic);
    const place = files.append(body(1));
    truncateSync(join(folder, 'blk00000.dat'), 50);
    expect(() => files.read(place)).toThrow(StoreDamage);
    writeFileSync(join(folder, 'blk00000.dat'), new Uint8Array(200));
    expect(() => files.read(place)).toThrow(StoreDamage);
    files.close();
  });

  test('begin a new file when one is full, and keep few of them open', async () => {
    const folder = newFolder();
    let files = new DiskBlockFiles(folder, magic, 250);
    const places = Array.from({ length: 60 }, (_, i) => files.append(body(i)));
    await files.sync();
    places.push(files.append(body(60)), files.append(body(61)));
    expect(readdirSync(folder)).toHaveLength(31);
    for (const [i, place] of places.entries()) expect(files.read(place)).toEqual(body(i));
    files.close();
    files = new DiskBlockFiles(folder, magic, 250);
    for (const [i, place] of places.entries()) expect(files.read(place)).toEqual(body(i));
    expect(files.size).toBe(62 * 108);
    files.close();
  });

  test('put a body that is larger than a file into one of its own', () => {
    const files = new DiskBlockFiles(newFolder(), magic, 50);
    const places = [files.append(body(1)), files.append(body(2))];
    expect(places.map(({ file }) => file)).toEqual([0, 1]);
    expect(files.read(places[1]!)).toEqual(body(2));
    files.close();
  });

  test('sync only when something was appended, and what was appended meanwhile with the next', async () => {
    const folder = newFolder();
    const files = new DiskBlockFiles(folder, magic);
    await files.sync();
    files.append(body(1));
    const first = files.sync();
    files.append(body(2));
    await first;
    await files.sync();
    expect(statSync(join(folder, 'blk00000.dat')).size).toBe(216);
    files.close();
  });
});
