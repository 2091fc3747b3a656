/** The table of all methods. Each family has a file of its own. */
import { blockchainMethods } from './blockchain.ts';
import { controlMethods } from './control.ts';
import { mempoolMethods } from './mempool.ts';
import type { RpcMethod } from './method.ts';
import { miningMethods } from './mining.ts';
import { networkMethods } from './network.ts';
import { scriptMethods } from './scripts.ts';
import { transactionMethods } from './transactions.ts';

const all: readonly RpcMethod[] = [
  ...blockchainMethods,
  ...controlMethods(() => all),
  ...mempoolMethods,
  ...miningMethods,
  ...networkMethods,
  ...scriptMethods,
  ...transactionMethods,
];

/** Methods by name. */
export const methods: ReadonlyMap<string, RpcMethod> = new Map(all.map((method) => [method.name, method]));
