import type { KindRules } from '#api/kinds/rules.ts';
import { pathSegment } from '#api/validation/format.ts';

/** Rules of CertificateSigningRequests. */
export const certificateSigningRequestRules: KindRules = {
  tracksGeneration: false,
  nameFormat: pathSegment,
};
