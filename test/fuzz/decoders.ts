/**
 * Targets: what reads bytes and texts of strangers. Each must answer whatever it is given, in time linear in its length,
 * and what it reads must be written as it was.
 */
import { isDeepStrictEqual } from 'node:util';
import fc from 'fast-check';
import { bytesToHex, hexToBytes } from '#hash';
import { decodeAddress, encodeAddress, outputKey, scriptAddress } from '../../consensus/address.ts';
import { type Block, encodeBlock, encodeHeader, readBlock, readHeader } from '../../consensus/block.ts';
import type { Bytes } from '../../consensus/brand.ts';
import { decodeChainFile, encodeChainFile, makeChain } from '../../consensus/chain-file.ts';
import { checkBlock, checkBlockInContext } from '../../consensus/check-block.ts';
import { checkTransaction } from '../../consensus/check-transaction.ts';
import { concatBytes, decode, equalBytes } from '../../consensus/codec.ts';
import { regtest } from '../../consensus/params.ts';
import { encodeTransaction, makeTransaction, readTransaction } from '../../consensus/transaction.ts';
import { parseDialTarget } from '../../node/rpc/dial-target.ts';
import { decodeMessage, encodePayload } from '../../node/wire/codec.ts';
import { encodeFrame, type Frame, FrameParser } from '../../node/wire/frame.ts';
import { canonicalHost, formatEndpoint, formatIp, parseEndpoint, parseIp } from '../../node/wire/ip.ts';
import { anyMessage, bytesOf, messages } from '../node/wire/arbitrary.ts';
import { applyEdits, edits, type Json, spoilt, spoiltJson, spoiltText } from './edits.ts';
import { material } from './material.ts';
import { demand, type Target, target } from './target.ts';

const MAX_PAYLOAD = 100_000;
const commands = Object.keys(messages);
const payload = anyMessage.map((message) => ({ command: message.type as string, bytes: encodePayload(message) }));

const message = target<{ readonly command: string; readonly payload: string }>({
  name: 'message',
  about: 'payloads of all peer messages',
  runs: 400,
  deadlineMs: 500,
  cases: fc
    .tuple(payload, edits, fc.option(fc.constantFrom(...commands, 'alert', 'toString')))
    .map(([{ command, bytes }, list, other]) => ({
      command: other ?? command,
      payload: bytesToHex(applyEdits(bytes, list)),
    })),
  check: ({ command, payload: hex }) => {
    const bytes = hexToBytes(hex);
    const read = decodeMessage(command, bytes);
    if (!read.ok || read.value === null) return;
    demand(read.value.type === command, 'it is read as another message');
    const written = encodePayload(read.value);
    const again = decodeMessage(command, written);
    demand(again.ok && again.value !== null, 'what was read and written cannot be read again');
    demand(isDeepStrictEqual(again.value, read.value), 'it reads as something else when it was written');
    if (command === 'tx' || command === 'block') {
      demand(equalBytes(written, bytes.subarray(0, written.length)), 'it is written in other bytes');
    }
  },
});

const frames = target<{ readonly stream: string; readonly pieces: readonly number[] }>({
  name: 'frames',
  about: 'the stream of frames, cut anywhere',
  runs: 200,
  deadlineMs: 500,
  cases: fc.record({
    stream: spoilt(
      fc
        .array(payload, { maxLength: 4 })
        .map((list) => concatBytes(...list.map(({ command, bytes }) => encodeFrame(regtest.magic, command, bytes)))),
    ),
    pieces: fc.oneof(fc.constant([1]), fc.array(fc.integer({ min: 1, max: 100 }), { minLength: 1, maxLength: 8 })),
  }),
  check: ({ stream, pieces }) => {
    const bytes = hexToBytes(stream);
    const whole = read([bytes]);
    const cut: Bytes[] = [];
    for (let at = 0, i = 0; at < bytes.length; i++) {
      const size = pieces[i % pieces.length] as number;
      cut.push(bytes.subarray(at, at + size));
      at += size;
    }
    demand(isDeepStrictEqual(read(cut), whole), 'its cuts mean something');
    let length = 0;
    for (const frame of whole) if (frame.type === 'message') length += 24 + frame.payload.length;
    demand(length <= bytes.length, 'there is more in the frames than came');
    const fatal = whole.findIndex((frame) => frame.type === 'fatal');
    demand(fatal < 0 || fatal === whole.length - 1, 'something is read behind the end');
  },
});

function read(pieces: readonly Bytes[]): Frame[] {
  const parser = new FrameParser(regtest.magic, MAX_PAYLOAD);
  return pieces.flatMap((piece) =>
    // A payload may be a view of the piece.
    parser
      .push(piece)
      .map((frame) => (frame.type === 'message' ? { ...frame, payload: frame.payload.slice() } : frame)),
  );
}

const realTransaction = fc.nat(1000).map((n) => {
  const { transactions } = material();
  return encodeTransaction(transactions[n % transactions.length] as (typeof transactions)[number]);
});
const anyTransaction = messages.tx.map(encodePayload);

const transaction = target<string>({
  name: 'transaction',
  about: 'transactions, and their rules without context',
  runs: 400,
  deadlineMs: 500,
  cases: spoilt(fc.oneof(realTransaction, anyTransaction)),
  check: (hex) => {
    const bytes = hexToBytes(hex);
    const read = decode(bytes, readTransaction);
    if (!read.ok) return;
    const tx = read.value;
    demand(equalBytes(encodeTransaction(tx), bytes), 'it is written in other bytes');
    demand(isDeepStrictEqual(makeTransaction(tx), tx), 'its ids or sizes are wrong');
    checkTransaction(tx);
  },
});

const realBlock = fc.nat(1000).map((n) => {
  const { blocks } = material();
  return encodeBlock(blocks[n % blocks.length] as Block);
});

const block = target<string>({
  name: 'block',
  about: 'blocks and headers, and their rules without coins',
  runs: 200,
  deadlineMs: 500,
  cases: spoilt(fc.oneof(realBlock, messages.block.map(encodePayload))),
  check: (hex) => {
    const bytes = hexToBytes(hex);
    const header = decode(bytes.subarray(0, 80), readHeader);
    demand(header.ok === bytes.length >= 80, '80 bytes are a header');
    if (header.ok) demand(equalBytes(encodeHeader(header.value), bytes.subarray(0, 80)), 'the header has other bytes');
    const read = decode(bytes, readBlock);
    if (!read.ok) return;
    demand(equalBytes(encodeBlock(read.value), bytes), 'it is written in other bytes');
    checkBlock(read.value, regtest);
    if (read.value.transactions.length > 0) {
      checkBlockInContext(read.value, { height: 1, medianTimePast: regtest.genesis.header.time }, regtest);
    }
  },
});

const anyAddress = fc
  .tuple(bytesOf(32), fc.constantFrom('bcrt', 'bc', 'vine'))
  .map(([key, hrp]) => encodeAddress(key, hrp));

const address = target<string>({
  name: 'address',
  about: 'addresses',
  runs: 500,
  deadlineMs: 200,
  cases: fc.oneof(
    spoiltText(anyAddress),
    spoiltText(anyAddress.map((text) => text.toUpperCase())),
    fc.string({ maxLength: 100 }),
  ),
  check: (text) => {
    const script = decodeAddress(text, regtest);
    if (!script.ok) return;
    demand(scriptAddress(script.value, regtest) === text.toLowerCase(), 'it is the address of something else');
    demand(encodeAddress(outputKey(script.value), regtest.hrp) === text.toLowerCase(), 'it is written otherwise');
  },
});

const byte = fc.integer({ min: 0, max: 255 });
const host = fc.oneof(
  fc.tuple(byte, byte, byte, byte).map((bytes) => bytes.join('.')),
  bytesOf(16).map((bytes) => formatIp({ network: 'ipv6', bytes })),
  fc.constantFrom('::', '::1', '::ffff:1.2.3.4', 'example.com', '1:2:3:4:5:6:7::', '0x7f.1', '127.1'),
);

const endpoint = target<string>({
  name: 'endpoint',
  about: 'hosts, endpoints and addresses of nodes as text',
  runs: 500,
  deadlineMs: 200,
  cases: fc.oneof(
    spoiltText(host),
    spoiltText(
      fc.tuple(host, fc.nat(70_000)).map(([at, port]) => (at.includes(':') ? `[${at}]:${port}` : `${at}:${port}`)),
    ),
    spoiltText(
      fc
        .tuple(
          fc.constantFrom('ws', 'wss', 'tcp', 'http'),
          host,
          fc.nat(70_000),
          fc.constantFrom('', '/', '/a?b=%20', '/#'),
        )
        .map(([scheme, at, port, path]) => `${scheme}://${at.includes(':') ? `[${at}]` : at}:${port}${path}`),
    ),
  ),
  check: (text) => {
    const ip = parseIp(text);
    if (ip !== undefined) {
      const canonical = formatIp(ip);
      demand(isDeepStrictEqual(parseIp(canonical), ip), 'the address is written as another');
      demand(canonicalHost(text) === canonical, 'there are two texts for one address');
    }
    const parsed = parseEndpoint(text);
    if (parsed !== undefined) {
      demand(isDeepStrictEqual(parseEndpoint(formatEndpoint(parsed)), parsed), 'the endpoint is written as another');
    }
    const target = parseDialTarget(text, 8333);
    if (target.ok) demand(target.value.port >= 1 && target.value.port <= 0xffff, 'a port that cannot be');
  },
});

let chainText: string | undefined;
function chainFile(): Json {
  if (chainText === undefined) {
    const made = makeChain({
      name: 'fuzznet',
      spacingSeconds: 10,
      halfLifeSeconds: 3600,
      anchorBits: 0x207fffff,
      powLimitBits: 0x207fffff,
      hrp: 'fuzz',
      peerPort: 1000,
      rpcPort: 1001,
      time: 1_700_000_000,
      text: 'fuzz',
    });
    if (!made.ok) throw new Error(made.error.join('; '));
    chainText = encodeChainFile(made.value);
  }
  return JSON.parse(chainText) as Json;
}

const chain = target<string>({
  name: 'chain-file',
  about: 'chain files',
  runs: 300,
  deadlineMs: 500,
  cases: fc.oneof(
    fc.constant(null).chain(() => spoiltJson(fc.constant(chainFile())).map((value) => JSON.stringify(value))),
    fc.constant(null).chain(() => spoiltText(fc.constant(JSON.stringify(chainFile())))),
  ),
  check: (text) => {
    const read = decodeChainFile(text);
    if (!read.ok) {
      demand(read.error.length > 0, 'it is refused without a reason');
      return;
    }
    const again = decodeChainFile(encodeChainFile(read.value));
    demand(again.ok && isDeepStrictEqual(again.value, read.value), 'it is another chain when it was written');
  },
});

export const decoderTargets: readonly Target[] = [message, frames, transaction, block, address, endpoint, chain];
