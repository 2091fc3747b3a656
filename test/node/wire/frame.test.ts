import { describe, expect, test } from '@jest/globals';
import fc from 'fast-check';
import { hexToBytes } from '#hash';
import { concatBytes } from '../../../consensus/codec.ts';
import { encodeFrame, type Frame, FrameParser } from '../../../node/wire/frame.ts';

const magic = hexToBytes('fabfb5da');
const MAX = 1000;

function parse(pieces: readonly Uint8Array[], max = MAX): Frame[] {
  const parser = new FrameParser(magic, max);
  return pieces.flatMap((piece) => parser.push(piece));
}

const bytewise = (bytes: Uint8Array) => Array.from(bytes, (byte) => Uint8Array.of(byte));
const fatal = (offence: string) => [{ type: 'fatal', offence }];

const someFrames = fc.array(
  fc.record({
    command: fc.stringMatching(/^[a-z0-9]{0,12}$/),
    payload: fc.uint8Array({ maxLength: 200 }),
  }),
  { maxLength: 6 },
);

describe('the frame parser', () => {
  test('gives the same messages wherever the stream is cut', () => {
    fc.assert(
      fc.property(someFrames, fc.array(fc.nat(60), { minLength: 1, maxLength: 20 }), (frames, cuts) => {
        const stream = concatBytes(...frames.map(({ command, payload }) => encodeFrame(magic, command, payload)));
        const pieces: Uint8Array[] = [];
        for (let at = 0, i = 0; at < stream.length; i++) {
          const size = 1 + (cuts[i % cuts.length] as number);
          pieces.push(stream.subarray(at, at + size));
          at += size;
        }
        const expected = frames.map((frame) => ({ type: 'message', ...frame }));
        expect(parse(pieces)).toEqual(expected);
        expect(parse([stream])).toEqual(expected);
        expect(parse(bytewise(stream))).toEqual(expected);
      }),
      { seed: 1, numRuns: 100 },
    );
  });

  test('never gives a message before its last byte', () => {
    const stream = encodeFrame(magic, 'ping', new Uint8Array(8));
    expect(parse([stream.subarray(0, -1)])).toEqual([]);
  });

  test('takes a large message in one-byte pieces in linear time', () => {
    const stream = encodeFrame(magic, 'block', new Uint8Array(100_000).fill(7));
    expect(parse(bytewise(stream), 4_000_000)).toHaveLength(1);
  });

  test('an announced length reserves no memory', () => {
    const header = encodeFrame(magic, 'block', new Uint8Array(4_000_000)).slice(0, 25);
    const before = process.memoryUsage().arrayBuffers;
    const parsers = Array.from({ length: 100 }, () => new FrameParser(magic, 4_000_000));
    for (const parser of parsers) parser.push(header);
    expect(process.memoryUsage().arrayBuffers - before).toBeLessThan(50_000_000);
  });

  test('another magic is fatal at the first byte that differs, and nothing is read after it', () => {
    const good = encodeFrame(magic, 'verack', new Uint8Array(0));
    for (let i = 0; i < 4; i++) {
      const bad = good.slice();
      bad[i] = (bad[i] as number) ^ 1;
      expect(parse([bad.subarray(0, i + 1)])).toEqual(fatal('bad-magic'));
      expect(parse([bad, good])).toEqual(fatal('bad-magic'));
      expect(parse([good, bad.subarray(0, i + 1)])).toEqual([
        { type: 'message', command: 'verack', payload: new Uint8Array(0) },
        ...fatal('bad-magic'),
      ]);
    }
  });

  test('a length above the limit is fatal with the header, at the limit it is not', () => {
    const at = encodeFrame(magic, 'tx', new Uint8Array(MAX));
    const above = encodeFrame(magic, 'tx', new Uint8Array(MAX + 1));
    expect(parse([at])).toMatchObject([{ type: 'message', command: 'tx' }]);
    expect(parse([above.subarray(0, 24)])).toEqual(fatal('oversized-message'));
    expect(parse([above, at])).toEqual(fatal('oversized-message'));
    const most = at.slice();
    most.fill(0xff, 16, 20);
    expect(parse([most])).toEqual(fatal('oversized-message'));
  });

  test('a wrong checksum skips the message and the next one is read', () => {
    const good = encodeFrame(magic, 'ping', new Uint8Array(8));
    for (let i = 20; i < good.length; i++) {
      const bad = good.slice();
      bad[i] = (bad[i] as number) ^ 0x80;
      expect(parse([bad, good])).toMatchObject([{ type: 'skipped' }, { type: 'message', command: 'ping' }]);
    }
  });

  test.each([
    ['a control character', 'pi\u0007g'],
    ['a byte above ASCII', 'pi\u00e9g'],
    ['a letter behind the padding', 'pi\u0000g'],
  ])('%s in the command skips the message and the next one is read', (_name, command) => {
    const good = encodeFrame(magic, 'ping', new Uint8Array(8));
    const bad = encodeFrame(magic, command, new Uint8Array(8));
    expect(parse([bad, good])).toMatchObject([{ type: 'skipped' }, { type: 'message', command: 'ping' }]);
  });

  test('garbage ends in one fatal frame and never throws', () => {
    fc.assert(
      fc.property(fc.uint8Array({ minLength: 4, maxLength: 400 }), (garbage) => {
        fc.pre(!garbage.subarray(0, 4).every((byte, i) => byte === magic[i]));
        expect(parse([garbage])).toEqual(fatal('bad-magic'));
        expect(parse(bytewise(garbage))).toEqual(fatal('bad-magic'));
      }),
      { seed: 2, numRuns: 100 },
    );
  });

  test('garbage behind the magic never throws and never becomes a message', () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 400 }), (garbage) => {
        const frames = parse([concatBytes(magic, garbage)]);
        expect(frames.filter((frame) => frame.type === 'message')).toEqual([]);
      }),
      { seed: 3, numRuns: 200 },
    );
  });
});
