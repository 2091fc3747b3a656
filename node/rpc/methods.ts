/** The table of all methods. Each family has a file of its own. */
import { addressBookMethods } from './address-book.ts';
import { banMethods } from './bans.ts';
import { statsMethods } from './block-stats.ts';
import { templateMethods } from './block-template.ts';
import { blockchainMethods } from './blockchain.ts';
import { controlMethods } from './control.ts';
import { descriptorMethods } from './descriptors.ts';
import { linkMethods } from './links.ts';
import { mempoolMethods } from './mempool.ts';
import { relationMethods } from './mempool-relations.ts';
import type { RpcMethod } from './method.ts';
import { miningMethods } from './mining.ts';
import { networkMethods } from './network.ts';
import { networkControlMethods } from './network-control.ts';
import { nodeInfoMethods } from './node-info.ts';
import { ownMiningMethods } from './own-mining.ts';
import { packageMethods } from './packages.ts';
import { psbtMethods } from './psbts.ts';
import { scriptMethods } from './scripts.ts';
import { transactionMethods } from './transactions.ts';
import { verifyChainMethods } from './verify-chain.ts';
import { waitingMethods } from './waiting.ts';

const all: readonly RpcMethod[] = [
  ...addressBookMethods,
  ...banMethods,
  ...blockchainMethods,
  ...controlMethods(() => all),
  ...descriptorMethods,
  ...linkMethods,
  ...ownMiningMethods,
  ...mempoolMethods,
  ...miningMethods,
  ...networkControlMethods,
  ...networkMethods,
  ...nodeInfoMethods,
  ...packageMethods,
  ...psbtMethods,
  ...relationMethods,
  ...scriptMethods,
  ...statsMethods,
  ...templateMethods,
  ...transactionMethods,
  ...verifyChainMethods,
  ...waitingMethods,
];

/** Methods by name. */
export const methods: ReadonlyMap<string, RpcMethod> = new Map(all.map((method) => [method.name, method]));
