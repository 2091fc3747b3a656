/** What the benches share: statistics over a few runs, the memory of a process, and lines that line up. */
import { readFileSync } from 'node:fs';

/** The middle of the values; the mean of the two middle ones if there is no single one. */
export function median(values: readonly number[]): number {
  const sorted = [...values].sort((a, b) => a - b);
  const middle = sorted.length >> 1;
  const upper = sorted[middle];
  if (upper === undefined) throw new Error('the median of nothing');
  return sorted.length % 2 === 1 ? upper : (upper + (sorted[middle - 1] as number)) / 2;
}

/** One line: what was measured, its value, and what it is compared with. */
export function figure(name: string, value: number, unit: string, against = ''): void {
  const digits = value >= 100 ? 0 : value >= 10 ? 1 : 2;
  process.stdout.write(`${name.padEnd(46)} ${value.toFixed(digits).padStart(9)} ${unit.padEnd(6)} ${against}\n`);
}

/** Resident memory of a process in MB, from /proc; undefined where there is none. */
export function residentMegabytes(pid: number): number | undefined {
  return memoryField(pid, 'VmRSS');
}

/** The most that it has ever been. */
export function peakMegabytes(pid: number): number | undefined {
  return memoryField(pid, 'VmHWM');
}

/** Seconds that all threads of a process have been running, from /proc; undefined where there is none. */
export function processorSeconds(pid: number): number | undefined {
  try {
    // The fields behind the name, which is in brackets and may hold anything. Linux counts in hundredths of a second.
    const fields = readFileSync(`/proc/${pid}/stat`, 'utf8').split(') ').at(-1)?.split(' ');
    return (Number(fields?.[11]) + Number(fields?.[12])) / 100;
  } catch {
    return undefined;
  }
}

function memoryField(pid: number, name: string): number | undefined {
  try {
    const line = new RegExp(`^${name}:\\s+(\\d+) kB$`, 'm').exec(readFileSync(`/proc/${pid}/status`, 'utf8'));
    return line === null ? undefined : Number(line[1]) / 1024;
  } catch {
    return undefined;
  }
}

export const sleep = (ms: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, ms));
