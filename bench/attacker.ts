/**
 * The process of an attacker: plays one attack of attacks.ts for some seconds, tells its parent what became of its sockets,
 * and ends; also when the parent does. Started by attack.ts only, with an `Order` as its one argument.
 */
import { SeededRandom } from '../node/random.ts';
import { AttackLine, type Carrier } from './attack-line.ts';
import { attackHost, attacks, type Known } from './attacks.ts';

export interface Order extends Known {
  readonly attack: string;
  /** Of the node that is attacked. */
  readonly port: number;
  readonly seconds: number;
}

/** What an attacker tells: the first when it begins, the second at its end. */
export type Told = { readonly type: 'begins' } | ({ readonly type: 'ends' } & Outcome);

export interface Outcome {
  /** Sockets that stood, and those of them that the node has ended. */
  readonly opened: number;
  readonly ended: number;
  /** Ends of sockets that had never stood. */
  readonly refused: number;
  /** Standing at the end of the attack. */
  readonly open: number;
  /** Places of the attacker whose socket was ended at least once. */
  readonly lanesEnded: number;
  readonly megabytesSent: number;
  readonly megabytesReceived: number;
}

const order = JSON.parse(process.argv[2] ?? '{}') as Order;
const number = Object.keys(attacks).indexOf(order.attack);
const attack = attacks[order.attack];
if (attack === undefined) throw new Error(`there is no attack ${order.attack}`);
const play = attack.play(order, new SeededRandom(order.attack));

const open = new Set<AttackLine>();
const lanesEnded = new Set<number>();
const counts = { opened: 0, ended: 0, refused: 0, bytesSent: 0, bytesReceived: 0 };
let isOver = false;

function count(line: AttackLine): void {
  open.delete(line);
  counts.bytesSent += line.bytesSent;
  counts.bytesReceived += line.bytesReceived;
}

function openLane(lane: number): void {
  if (isOver || attack === undefined) return;
  const { carriers, reopenMs } = attack;
  new AttackLine({
    carrier: carriers[lane % carriers.length] as Carrier,
    port: order.port,
    from: attackHost(number, lane),
    onOpen: (line) => {
      counts.opened++;
      open.add(line);
      play(line);
    },
    onEnd: (line, opened, left) => {
      count(line);
      if (!opened) counts.refused++;
      else if (!left) {
        counts.ended++;
        lanesEnded.add(lane);
      }
      if (reopenMs !== undefined) setTimeout(() => openLane(lane), reopenMs);
    },
  });
}

const tell = (told: Told, then: () => void = () => undefined) => process.send?.(told, then);
// Nobody is left who would end this process.
process.once('disconnect', () => process.exit(1));

tell({ type: 'begins' });
for (let lane = 0; lane < attack.lanes; lane++) openLane(lane);
setTimeout(() => {
  isOver = true;
  const standing = open.size;
  for (const line of [...open]) count(line);
  const { opened, ended, refused, bytesSent, bytesReceived } = counts;
  const bytes = { megabytesSent: bytesSent / 1e6, megabytesReceived: bytesReceived / 1e6 };
  const outcome = { opened, ended, refused, open: standing, lanesEnded: lanesEnded.size, ...bytes };
  // What is open ends with the process.
  tell({ type: 'ends', ...outcome }, () => process.exit(0));
}, 1000 * order.seconds);
