/** Help texts of options that several commands of the wallet have. */
export const ACCOUNT = 'a devnet account or a wallet (DEVNET/NAME and wallets/NAME say which)';
export const PASSWORD_FILE =
  'read the password from the first line of FILE (else GRAPEVINE_PASSWORD, else it is asked for)';
