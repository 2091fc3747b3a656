/**
 * What a devnet looks like from outside: the state of every node, for `status`, for the table that `up` prints and for
 * programs (`--json`). Types only; the supervisor asks the nodes.
 */

import type { WorkStatus } from './work-status.ts';

export interface NodeStatus {
  readonly name: string;
  /** `unresponsive`: the process lives and does not answer. */
  readonly state: 'running' | 'stopped' | 'unresponsive';
  readonly pid: number | null;
  /** HOST:PORT of JSON-RPC. */
  readonly rpc: string;
  /** Where peers connect, `ws://HOST:PORT`. */
  readonly listen: readonly string[];
  /** Undefined while the node does not run. */
  readonly height?: number;
  readonly tip?: string;
  /** Names of the devnet nodes, else HOST:PORT, that it is linked with. */
  readonly peers?: readonly string[];
  readonly mempool?: number;
}

export interface DevnetStatus {
  readonly name: string;
  readonly network: string;
  readonly seed: number;
  readonly pid: number;
  readonly topology: string;
  /** In words: `a block every 5s`. */
  readonly mining: string;
  /** In words: `the clock is 3h ahead and runs: …`. Absent while the nodes show the real time. */
  readonly clock?: string;
  /** Empty unless the network is partitioned. */
  readonly partition: readonly (readonly string[])[];
  readonly nodes: readonly NodeStatus[];
  /** Where blocks cost work, and a node could be asked. */
  readonly work?: WorkStatus;
}
