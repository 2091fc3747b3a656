/** Methods about the process itself. */
import { command, error, RpcCode, result } from './answer.ts';
import { method, type RpcMethod } from './method.ts';
import { defaulted, hidden, int, long, optional, text } from './params.ts';

/** The last second that Core's clock of 64-bit nanoseconds can show. */
const MAX_MOCK_TIME = 9_223_372_036;

/** The methods of this family; `all` gives every method there is, for the help. */
export function controlMethods(all: () => readonly RpcMethod[]): readonly RpcMethod[] {
  return [
    method({
      name: 'help',
      category: 'control',
      description: 'Lists all methods, or explains one.',
      params: { command: defaulted(text('The method to explain'), '', 'all methods') },
      result: '"text"    (string)',
      example: '"getblock"',
      run: (_, { command: name }) => {
        if (name === '') return result(listOf(all()));
        const found = all().find((one) => one.name === name);
        return result(found === undefined ? `help: unknown command: ${name}` : found.help);
      },
    }),

    method({
      name: 'setmocktime',
      category: 'hidden',
      description: "Sets the node's clock to a fixed time, for tests. Only on regtest.",
      params: { timestamp: long('Seconds since 1970; 0 goes back to the real time') },
      result: 'null',
      example: '1700000000',
      run: ({ params }, { timestamp }) => {
        if (params.name !== 'regtest') {
          return error(RpcCode.misc, 'setmocktime is for regression testing (-regtest mode) only');
        }
        if (timestamp < 0 || timestamp > MAX_MOCK_TIME) {
          const message = `Mocktime must be in the range [0, ${MAX_MOCK_TIME}], not ${timestamp}.`;
          return error(RpcCode.parameter, message);
        }
        return command({ type: 'set-mock-time', time: timestamp });
      },
    }),

    method({
      name: 'stop',
      category: 'control',
      description: 'Stops the node. The answer comes before it ends.',
      params: { wait: hidden(optional(int('Ignored'))) },
      result: '"text"    (string)',
      example: '',
      run: () => command({ type: 'stop' }),
    }),

    method({
      name: 'uptime',
      category: 'control',
      description: 'For how many seconds the node has been running.',
      params: {},
      result: 'n    (numeric)',
      example: '',
      run: ({ now, startedAt }) => result(Math.floor((now.mono - startedAt.mono) / 1000)),
    }),
  ];
}

/** All methods that are not hidden, by category, both in alphabetical order. */
function listOf(methods: readonly RpcMethod[]): string {
  const sorted = methods
    .filter(({ category }) => category !== 'hidden')
    .sort((a, b) => a.category.localeCompare(b.category, 'en') || a.name.localeCompare(b.name, 'en'));
  const sections = new Map<string, string[]>();
  for (const { category, usage } of sorted) {
    const heading = `== ${category.slice(0, 1).toUpperCase()}${category.slice(1)} ==`;
    sections.set(heading, [...(sections.get(heading) ?? []), usage]);
  }
  return [...sections].map(([heading, usages]) => [heading, ...usages].join('\n')).join('\n\n');
}
