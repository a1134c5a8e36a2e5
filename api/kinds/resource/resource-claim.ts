import type { DefaultRule } from '#api/defaults/rule.ts';
import type { KindRules } from '#api/kinds/rules.ts';

/** Rules of ResourceClaims. */
export const resourceClaimRules: KindRules = {
  defaults: claimRules('spec'),
  tracksGeneration: false,
};

/** Rules of ResourceClaimTemplates. */
export const resourceClaimTemplateRules: KindRules = {
  defaults: claimRules('spec.spec'),
  tracksGeneration: false,
};

function claimRules(spec: string): readonly DefaultRule[] {
  const requests = `${spec}.devices.requests[]`;
  return [`${requests}.exactly`, `${requests}.firstAvailable[]`].flatMap(
    (request): readonly DefaultRule[] => [
      [`${request}.allocationMode`, 'ExactCount'],
      [`${request}.count`, (holder) => (holder['allocationMode'] === 'ExactCount' ? 1 : undefined), 'zero'],
    ],
  );
}
