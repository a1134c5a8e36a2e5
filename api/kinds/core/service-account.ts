import { at } from '#api/wire/json.ts';
import { acted } from '#api/kinds/effect.ts';
import { refuseTokenLate } from '#api/kinds/node-writes/account.ts';
import type { KindRules } from '#api/kinds/rules.ts';
import { enforceMountableSecrets } from './pod-secrets.ts';

const mountable = ['metadata', 'annotations', enforceMountableSecrets];
const mountableWarning = `metadata.annotations[${enforceMountableSecrets}]: deprecated in v1.32+; prefer separate namespaces to isolate access to mounted secrets`;

/** Rules of ServiceAccounts. */
export const serviceAccountRules: KindRules = {
  effect: acted('control-plane/apiserver/subresources/token.ts'),
  refuseNodeLate: refuseTokenLate,
  tracksGeneration: false,
  updateChecks: ['metadata changes', 'metadata', 'object'],
  warnings: (account, old) =>
    at(account, mountable) === undefined || at(old, mountable) !== undefined ? [] : [mountableWarning],
  answersDeleteWithObject: true,
  secretFields: ['token'], // Of a TokenRequest.
};
