import { acted } from '#api/kinds/effect.ts';
import { refuseTokenLate } from '#api/kinds/node-writes/account.ts';
import type { KindRules } from '#api/kinds/rules.ts';

/** Rules of ServiceAccounts. */
export const serviceAccountRules: KindRules = {
  effect: acted('control-plane/apiserver/subresources/token.ts'),
  refuseNodeLate: refuseTokenLate,
  tracksGeneration: false,
  answersDeleteWithObject: true,
};
