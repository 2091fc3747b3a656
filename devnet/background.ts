/**
 * The process behind `devnet up -d`: the entry file that detach.ts starts. It gets one order, gives one answer, and says
 * the rest to its log. If the command that started it is interrupted before the answer, it ends.
 */
import { CliError, Exit, type ExitCode } from '../node/commands/cli.ts';
import { describeEvent } from './events.ts';
import { hostDevnet } from './host.ts';
import type { DevnetOptions } from './options.ts';
import type { ReadyReport } from './report.ts';

/** Sent once, to this process. */
export interface Order {
  readonly options: DevnetOptions;
  readonly readyFile: string | undefined;
}

/** Sent back: any number of notes, then one of the others. */
export type Answer =
  | { readonly type: 'note'; readonly text: string }
  | { readonly type: 'ready'; readonly report: ReadyReport }
  | {
      readonly type: 'error';
      readonly exit: ExitCode;
      readonly code: string;
      readonly message: string;
      readonly hint: string | undefined;
    };

let answered = false;

process.once('disconnect', () => {
  // Ends by the same way as any other signal does.
  if (!answered) process.kill(process.pid, 'SIGTERM');
});

process.once('message', ({ options, readyFile }: Order) => {
  hostDevnet(options, readyFile, {
    onNote: (text) => {
      log(text);
      send({ type: 'note', text });
    },
    onReady: (report) => {
      log(`devnet "${options.name}" is ready`);
      answered = true;
      send({ type: 'ready', report });
    },
    onEvent: (event) => log(describeEvent(event)),
    onStopping: () => log('stopping'),
    // The command that began it ends as soon as it is ready.
    endsWithParent: false,
  }).then(
    () => log('stopped'),
    (error: unknown) => {
      const { exit, code, message, hint } =
        error instanceof CliError
          ? error
          : { exit: Exit.failed, code: 'internal', message: String(error), hint: undefined };
      log(`error: ${message}`);
      process.exitCode = exit;
      answered = true;
      send({ type: 'error', exit, code, message, hint });
    },
  );
});

/** The command may have gone; then the log has it all. */
function send(answer: Answer): void {
  if (!process.connected) return;
  process.send?.(answer, undefined, undefined, () => {
    if (answer.type !== 'note' && process.connected) process.disconnect();
  });
}

function log(text: string): void {
  process.stderr.write(`${new Date().toISOString()} ${text}\n`);
}
