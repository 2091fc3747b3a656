/**
 * What a devnet looks like from outside: the state of every node, for `status`, for the table that `up` prints and for
 * programs (`--json`). Types only; the supervisor asks the nodes.
 */

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
  /** Empty unless the network is partitioned. */
  readonly partition: readonly (readonly string[])[];
  readonly nodes: readonly NodeStatus[];
}
