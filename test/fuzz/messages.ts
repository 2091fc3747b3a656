/** What the thread that fuzzes tells the one that watches it. */
import type { BatchResult } from './target.ts';

export type FromWorker =
  /** A batch begins. If nothing follows, one of its cases does not end. */
  | { readonly type: 'begin'; readonly target: string; readonly seed: number; readonly heapBytes: number }
  | { readonly type: 'end'; readonly target: string; readonly seed: number; readonly result: BatchResult };

export interface WorkerOrder {
  readonly targets: readonly string[];
  readonly seed: number;
  /** Milliseconds. */
  readonly timeMs: number;
}
