import { execFileSync } from 'node:child_process';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { beforeAll, describe, expect, test } from '@jest/globals';
import { Argument, Command, Option } from 'commander';
import { completionScript, placesOf } from '../../../node/commands/completion.ts';
import { explainCommand } from '../../../node/commands/explain.ts';
import { nodeCommand } from '../../../node/commands/node.ts';
import { temporaryFolders } from '../../support/temporary-folder.ts';

const newFolder = temporaryFolders();

function makeProgram(): Command {
  const program = new Command('grapevine')
    .option('--json', "results as JSON: it's one line")
    .option('-d, --datadir <dir>', 'state');
  program.addCommand(nodeCommand()).addCommand(explainCommand());
  const group = new Command('group');
  group
    .command('run')
    .addArgument(new Argument('<mode>').choices(['fast', 'slow']))
    .addOption(new Option('--color <name>').choices(['red', 'green']));
  group.addOption(new Option('--secret').hideHelp());
  return program.addCommand(group);
}

const program = makeProgram();

test('every command and option of the tree is at its place', () => {
  const places = placesOf(program);
  const at = (path: string) => places.find((place) => place.path === path);
  expect(at('')?.commands.map(({ word }) => word)).toEqual(['node', 'explain', 'group', 'help']);
  expect(at('node')?.commands.map(({ word }) => word)).toContain('status');
  expect(at('node status')?.options.flatMap(({ words }) => words)).toContain('--json');
  expect(at('group')?.options.flatMap(({ words }) => words)).not.toContain('--secret');
  expect(at('group run')?.values).toEqual(['fast', 'slow']);
});

describe('the script for bash', () => {
  const folder = temporaryFolders();
  let script = '';
  beforeAll(() => {
    script = join(folder(), 'completion.bash');
    writeFileSync(script, completionScript(program, 'bash'));
  });

  /** What bash offers for the last of the words. */
  function offered(...words: readonly string[]): readonly string[] {
    const run = `source "$1"; shift; COMP_WORDS=("$@"); COMP_CWORD=$(($# - 1)); _grapevine; printf '%s\\n' "\${COMPREPLY[@]}"`;
    const output = execFileSync('bash', ['-c', run, 'bash', script, 'grapevine', ...words], { encoding: 'utf8' });
    return output.split('\n').filter((line) => line !== '');
  }

  test('offers commands, their commands and their options', () => {
    expect(offered('')).toEqual(expect.arrayContaining(['node', 'explain', 'group', '--json', '--datadir']));
    expect(offered('no')).toEqual(['node']);
    expect(offered('node', 'st')).toEqual(['status', 'stop']);
    expect(offered('node', '--re')).toEqual(['--reindex']);
    expect(offered('group', 'run', '')).toEqual(expect.arrayContaining(['fast', 'slow', '--color']));
    expect(offered('nothing', '')).toEqual(offered(''));
  });

  test('offers the values of an option and nothing else behind it', () => {
    expect(offered('node', '--profile', '')).toEqual(['local', 'internet']);
    expect(offered('group', 'run', '--color', 'g')).toEqual(['green']);
    expect(offered('--datadir', '')).toEqual([]);
  });

  test('does not take the value of an option for a command', () => {
    expect(offered('--datadir', 'group', 'no')).toEqual(['node']);
    expect(offered('-d', 'x', 'node', '--json', 'sta')).toEqual(['status']);
  });

  test('is registered for the command and has no error in it', () => {
    const registered = execFileSync('bash', ['-c', 'source "$1" && complete -p grapevine', 'bash', script], {
      encoding: 'utf8',
    });
    expect(registered.trim()).toBe('complete -o default -F _grapevine grapevine');
    execFileSync('bash', ['-n', script]);
  });
});

describe('the scripts for zsh and fish', () => {
  test('quote what descriptions contain', () => {
    expect(completionScript(program, 'zsh')).toContain("'--json:results as JSON: it'\\''s one line'");
    expect(completionScript(program, 'fish')).toContain("-l json -d 'results as JSON: it\\'s one line'");
  });

  test('name every command and every choice', () => {
    for (const shell of ['zsh', 'fish'] as const) {
      const script = completionScript(program, shell);
      for (const word of ['status', 'explain', 'fast', 'red', 'profile']) expect(script).toContain(word);
    }
  });

  for (const shell of ['zsh', 'fish'] as const) {
    const isInstalled = (() => {
      try {
        execFileSync(shell, ['-c', 'true'], { stdio: 'ignore' });
        return true;
      } catch {
        return false;
      }
    })();
    (isInstalled ? test : test.skip)(`${shell} finds no error in its script`, () => {
      // Not by standard input: fish reads none that is no terminal's.
      const file = join(newFolder(), shell);
      writeFileSync(file, completionScript(program, shell));
      execFileSync(shell, ['-n', file]);
    });
  }
});
