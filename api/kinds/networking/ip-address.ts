import type { KindRules } from '#api/kinds/rules.ts';

/** Rules of IPAddresses: their name is the address. */
export const ipAddressRules: KindRules = {
  tracksGeneration: false,
};
