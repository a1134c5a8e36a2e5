import type { DefaultRule } from '#api/defaults/rule.ts';
import { at, listOf } from '#api/wire/json.ts';
import { noDevices } from '#api/kinds/effect.ts';
import type { KindRules } from '#api/kinds/rules.ts';
import type { JsonObject } from '#api/meta/object.ts';
import { ageOfObject, nameOf } from '#api/table/object.ts';
import { joined } from '#api/table/text.ts';

/** Rules of ResourceClaims. */
export const resourceClaimRules: KindRules = {
  effect: noDevices,
  answersDeleteWithObject: true,
  defaults: claimRules('spec'),
  tracksGeneration: false,
  cells: (claim, now) => [nameOf(claim), claimState(claim), ageOfObject(claim, now)],
};

/** Rules of ResourceClaimTemplates. */
export const resourceClaimTemplateRules: KindRules = {
  effect: noDevices,
  answersDeleteWithObject: true,
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

function claimState(claim: JsonObject): string {
  const states = [
    at(claim, 'metadata.deletionTimestamp') === undefined ? '' : 'deleted',
    at(claim, 'status.allocation') === undefined ? '' : 'allocated',
    listOf(at(claim, 'status.reservedFor')).length === 0 ? '' : 'reserved',
  ].filter((state) => state !== '');
  const isAllocated = states.includes('allocated');
  if (!isAllocated) states.push('pending');
  return joined(states);
}
