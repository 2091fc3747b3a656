/**
 * What the traffic with a peer costs of its turn (`limits.readPerTurn`). A unit is what a ping and its pong take, some ten
 * microseconds, and other traffic is weighed against that: bytes are cheap where they are only copied and summed, and dear
 * where each few of them are an item that is made, looked up and kept.
 */

/** Bytes of a message for each further unit. */
const BYTES_PER_UNIT = 16_384;
const LIST_BYTES_PER_UNIT = 1024;
/** Each header is hashed, and its work is added up. */
const HEADER_BYTES_PER_UNIT = 256;
/** Bytes that are sent: a peer can ask for a thousand times what its question has. */
const SENT_BYTES_PER_UNIT = 4096;

const bytesPerUnit: ReadonlyMap<string, number> = new Map([
  ...['addr', 'addrv2', 'inv', 'getdata', 'notfound'].map((command) => [command, LIST_BYTES_PER_UNIT] as const),
  ['headers', HEADER_BYTES_PER_UNIT],
]);

/** Of a message that came, with a payload of so many bytes. */
export function receivedCost(command: string, bytes: number): number {
  return 1 + Math.floor(bytes / (bytesPerUnit.get(command) ?? BYTES_PER_UNIT));
}

/** Of a message that is sent. */
export function sentCost(bytes: number): number {
  return Math.floor(bytes / SENT_BYTES_PER_UNIT);
}
