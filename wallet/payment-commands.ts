/** The commands that pay: `send`, `bump`, `sign`, `broadcast`. */
import { Command } from 'commander';
import { globalOptions } from '../node/commands/cli.ts';
import { ACCOUNT, PASSWORD_FILE } from './option-texts.ts';

export function sendCommand(): Command {
  return (
    new Command('send')
      .description('pay to addresses or accounts')
      .argument('<to-and-amount...>', 'TO AMOUNT, several times: an address or an account, and 0.5btc or 50000sat')
      .option('--account <name>', `who pays: ${ACCOUNT}`)
      .option('--all', 'the last recipient, who has no amount, gets all that is left; the fee is taken from it')
      .option(
        '--data <hex|text>',
        'also write up to 80 bytes into the chain (hex, or a text; text:… for a text that looks like hex)',
      )
      .option('--fee-rate <rate>', "satoshis per virtual byte (else the node's estimate, else 2)")
      .option('--wait <n>', 'come back when the payment has N confirmations')
      .option('--wait-timeout <time>', 'give up waiting after this time (10m; exit code 6)')
      .option('--dry-run', 'show what would be sent, sign and send nothing')
      .option('--psbt', 'print an unsigned PSBT in base64 instead of sending: for "wallet sign" elsewhere')
      .option('--password-file <file>', PASSWORD_FILE)
      // "-5btc" is a wrong amount and no option: all is let through, and judged when it is read.
      .allowUnknownOption()
      .addHelpText(
        'after',
        `
Shows recipients, amounts, fee, feerate and change and asks, unless --yes is given (exit code 5 where there is no terminal).
Nobody is asked for the play money of devnet accounts. A feerate above 10000 sat/vB and a fee above 0.1 btc are refused.

JSON: {txid, account, to, address, recipients: [{to, address, amount}], amount, data, fee, feeRate, vsize, inputs,
change: {address, amount}|null, dryRun, psbt, confirmations, replacedBy}; amounts in satoshis, "to" and "address" null for
several recipients, "txid" null and "psbt" in base64 where nothing was sent.

Examples:
  $ grapevine wallet send bob 0.5btc --account alice
  $ grapevine wallet send bcrt1p… 50000sat carol 0.1btc --fee-rate 3 --wait 1
  $ grapevine wallet send bob --all --yes
  $ grapevine wallet send bob 1000sat --data "hello"
  $ grapevine wallet send bob 0.1btc --account watched --psbt > payment.psbt
`,
      )
      .action(async (words: string[], _: unknown, command: Command) => {
        const { send } = await import('./send.ts');
        const parsed = command.optsWithGlobals();
        await send(globalOptions(parsed), words, {
          account: parsed['account'],
          all: parsed['all'] === true,
          data: parsed['data'],
          feeRate: parsed['feeRate'],
          wait: parsed['wait'],
          waitTimeout: parsed['waitTimeout'],
          dryRun: parsed['dryRun'] === true,
          psbt: parsed['psbt'] === true,
          passwordFile: parsed['passwordFile'],
        });
      })
  );
}

export function bumpCommand(): Command {
  return new Command('bump')
    .description('replace a payment that waits for a block by one with a higher fee')
    .argument('<txid>', 'the payment, as "wallet send" printed it')
    .option('--account <name>', `who paid: ${ACCOUNT}`)
    .option('--fee-rate <rate>', "satoshis per virtual byte (else the node's estimate, and at least what replaces it)")
    .option('--wait <n>', 'come back when the replacement has N confirmations')
    .option('--wait-timeout <time>', 'give up waiting after this time (10m; exit code 6)')
    .option('--dry-run', 'show what would be sent, sign and send nothing')
    .option('--password-file <file>', PASSWORD_FILE)
    .addHelpText(
      'after',
      `
Recipients and amounts stay as they are. The fee is taken from the change, and where that does not suffice confirmed coins
are added. A payment that is confirmed, that another wallet made, that was replaced already, or whose change is spent
cannot be bumped.

JSON: {txid, replaces, account, recipients: [{to, address, amount}], amount, fee, feeRate, oldFee, oldFeeRate, vsize,
inputs, addedInputs, evicted, change: {address, amount}|null, dryRun, confirmations, replacedBy}; amounts in satoshis.

Examples:
  $ grapevine wallet bump 8c2b2f166802dbf6… --account alice
  $ grapevine wallet bump 8c2b2f166802dbf6… --fee-rate 20 --wait 1 --yes
`,
    )
    .action(async (txid: string, _: unknown, command: Command) => {
      const { bump } = await import('./bump.ts');
      const parsed = command.optsWithGlobals();
      await bump(globalOptions(parsed), txid, {
        account: parsed['account'],
        feeRate: parsed['feeRate'],
        wait: parsed['wait'],
        waitTimeout: parsed['waitTimeout'],
        dryRun: parsed['dryRun'] === true,
        passwordFile: parsed['passwordFile'],
      });
    });
}

export function signCommand(): Command {
  return new Command('sign')
    .description('sign a PSBT, or a transaction in hex; no node is needed')
    .argument('<file>', 'a file, - for standard input, or the PSBT (base64) or the hex itself')
    .option('--account <name>', `whose keys sign: ${ACCOUNT}`)
    .option(
      '--prevouts <file>',
      'for hex: the coins that it spends, [{"txid", "vout", "amount", "address"}] in satoshis',
    )
    .option('--password-file <file>', PASSWORD_FILE)
    .addHelpText(
      'after',
      `
Shows what is signed and asks, unless --yes is given. Where all inputs are signed it prints the transaction in hex, for
"wallet broadcast"; else the PSBT with our signatures in it.

JSON: {complete, txid, hex, psbt, account, recipients: [{to, address, amount}], amount, data, fee, feeRate, vsize,
change: {address, amount}|null, inputs, signed, missing}; amounts in satoshis.

Examples:
  $ grapevine wallet send bob 0.1btc --account watched --psbt > payment.psbt
  $ grapevine wallet sign payment.psbt --account savings > payment.hex
  $ grapevine wallet sign - --account savings --yes < payment.psbt
  $ grapevine wallet sign unsigned.hex --prevouts coins.json
`,
    )
    .action(async (file: string, _: unknown, command: Command) => {
      const { sign } = await import('./sign.ts');
      const parsed = command.optsWithGlobals();
      await sign(globalOptions(parsed), file, {
        account: parsed['account'],
        prevouts: parsed['prevouts'],
        passwordFile: parsed['passwordFile'],
      });
    });
}

export function broadcastCommand(): Command {
  return new Command('broadcast')
    .description('give a signed transaction to a node')
    .argument('<hex>', 'the transaction in hex, a PSBT whose inputs are all signed, a file with one of them, or -')
    .addHelpText(
      'after',
      `
What the node has already is no error and says so. A refusal is exit code 4, with the node's reason.

JSON: {txid, wtxid, status: "sent"|"known"|"confirmed", confirmations, vsize}.

Examples:
  $ grapevine wallet broadcast payment.hex
  $ grapevine wallet sign payment.psbt | grapevine wallet broadcast -
`,
    )
    .action(async (word: string, _: unknown, command: Command) => {
      const { broadcast } = await import('./broadcast.ts');
      await broadcast(globalOptions(command.optsWithGlobals()), word);
    });
}
