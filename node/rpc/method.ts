/** A method: its name, its parameters, its help and what it does. Owns the checks that all methods share. */
import { fail, ok, type Result } from '../../consensus/brand.ts';
import type { RpcParams } from '../boundary.ts';
import { error, type RpcAnswer, RpcCode, type RpcError } from './answer.ts';
import type { RpcContext } from './context.ts';
import { jsonType } from './json.ts';
import { type Arguments, type Param, type Params, toPositional } from './params.ts';

/** Headings of the list of methods; what is hidden works but is not listed. */
export type Category =
  | 'blockchain'
  | 'control'
  | 'hidden'
  | 'mining'
  | 'network'
  | 'rawtransactions'
  | 'scripts'
  | 'util';

export interface RpcMethod {
  readonly name: string;
  readonly category: Category;
  /** The first line of the help: the name and its parameters. */
  readonly usage: string;
  /** The whole help. */
  readonly help: string;
  call(context: RpcContext, given: RpcParams): RpcAnswer;
}

export interface MethodDefinition<P extends Params> {
  readonly name: string;
  readonly category: Category;
  readonly description: string;
  readonly params: P;
  /** The result in words and its form. */
  readonly result: string;
  /** Arguments of a call, as typed after the method's name. */
  readonly example: string;
  run(context: RpcContext, args: Arguments<P>): RpcAnswer;
}

export function method<P extends Params>(definition: MethodDefinition<P>): RpcMethod {
  const { name, category, params } = definition;
  const usage = usageOf(name, params);
  const help = helpOf(usage, definition);
  const call = (context: RpcContext, given: RpcParams): RpcAnswer => {
    const args = readArguments(params, given, help);
    return args.ok ? definition.run(context, args.value) : args.error;
  };
  return { name, category, usage, help, call };
}

/** Core's order: names, count (the help is the message), types of all, then each one's own rules. */
function readArguments<P extends Params>(params: P, given: RpcParams, help: string): Result<Arguments<P>, RpcError> {
  const positional = toPositional(given, params);
  if (!positional.ok) return positional;
  const values = positional.value;
  const entries = Object.entries(params);
  const required = entries.findLastIndex(([, param]) => !param.optional) + 1;
  if (values.length < required || values.length > entries.length) return fail(error(RpcCode.misc, help));

  const mismatches: string[] = [];
  for (const [index, [name, param]] of entries.entries()) {
    const type = jsonType(values[index]);
    if (param.type === undefined || type === param.type || (type === 'null' && param.optional)) continue;
    const names = [name, ...param.aliases].join('|');
    const message = `JSON value of type ${type} is not of expected type ${param.type}`;
    mismatches.push(`    "Position ${index + 1} (${names})": "${message}"`);
  }
  if (mismatches.length > 0) {
    return fail(error(RpcCode.type, `Wrong type passed:\n{\n${mismatches.join(',\n')}\n}`));
  }

  const read: Record<string, unknown> = {};
  for (const [index, [name, param]] of entries.entries()) {
    const value = param.read(values[index]);
    if (!value.ok) return value;
    read[name] = value.value;
  }
  return ok(read as Arguments<P>);
}

function usageOf(name: string, params: Params): string {
  const shown = Object.entries(params).filter(([, param]) => !param.hidden);
  const required = shown.filter(([, param]) => !param.optional).map(show);
  const optional = shown.filter(([, param]) => param.optional).map(show);
  return [name, ...required, ...(optional.length > 0 ? ['(', ...optional, ')'] : [])].join(' ');
}

function show([name, param]: readonly [string, Param<unknown>]): string {
  return param.shown(name);
}

function helpOf<P extends Params>(usage: string, { name, description, params, result, example }: MethodDefinition<P>) {
  const lines = [usage, '', description];
  const shown = Object.entries(params).filter(([, param]) => !param.hidden);
  if (shown.length > 0) lines.push('', 'Arguments:');
  for (const [index, [param, { kind, optional, description }]] of shown.entries()) {
    lines.push(`${index + 1}. ${param} (${kind}, ${optional ? 'optional' : 'required'}) ${description}`);
  }
  lines.push('', 'Result:', result, '', 'Example:', `> grapevine node rpc ${name} ${example}`.trimEnd(), '');
  return lines.join('\n');
}
