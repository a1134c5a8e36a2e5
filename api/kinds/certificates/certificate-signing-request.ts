import type { KindRules } from '#api/kinds/rules.ts';

/** Rules of CertificateSigningRequests. */
export const certificateSigningRequestRules: KindRules = {
  tracksGeneration: false,
};
