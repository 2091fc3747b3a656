/** `setmining`, ours: begins and ends what `node --mine` does from the start on. A devnet lets its nodes mine when it is ready. */
import { decodeAddress } from '../../consensus/address.ts';
import { command, error, RpcCode } from './answer.ts';
import { method, type RpcMethod } from './method.ts';
import { text } from './params.ts';

export const ownMiningMethods: readonly RpcMethod[] = [
  method({
    name: 'setmining',
    category: 'hidden',
    description:
      'Lets the node mine all the time, to an address, with the share of its cores that it was started with. Only on\n' +
      'networks where a block costs work: on others there would be thousands in a minute.',
    params: { address: text('The address; empty to mine no more') },
    result: 'null',
    example: '"address"',
    run: ({ params }, { address }) => {
      if (address === '') return command({ type: 'set-mining', script: undefined });
      if (params.retargeting === undefined) {
        return error(RpcCode.misc, `Blocks cost nothing on ${params.name}: call generatetoaddress, or use node --mine`);
      }
      const script = decodeAddress(address, params);
      if (!script.ok) return error(RpcCode.addressOrKey, 'Error: Invalid address');
      return command({ type: 'set-mining', script: script.value });
    },
  }),
];
