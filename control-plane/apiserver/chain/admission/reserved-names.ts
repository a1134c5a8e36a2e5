import { invalidField } from '#api/errors/field-error.ts';
import { invalid } from '#api/errors/status.ts';
import type { AdmissionPlugin } from './admission.ts';
import { staticSuffix } from './manifests/manifest-set.ts';

const group = 'admissionregistration.k8s.io';

/**
 * Names of static manifests are for files alone (pkg/apis/admissionregistration/validation/static_suffix.go): who makes one by the API is
 * warned, or, where this server has manifests, refused.
 */
export function reservedNames(hasManifests: boolean): AdmissionPlugin {
  return {
    name: 'ReservedNames',
    handles: ({ operation, kind, subresource }) =>
      operation === 'create' && kind.group === group && subresource === '' ? 'atOnce' : 'no',
    validate: (_context, { attributes: { kind, name, scope } }) => {
      if (!name.endsWith(staticSuffix)) return;
      const why = `names ending with ${JSON.stringify(staticSuffix)} are reserved for static manifest-based configurations and cannot be managed via the API`;
      if (hasManifests) throw invalid(kind, name, [invalidField('metadata.name', name, why)]);
      scope?.warn(`metadata.name: ${why}`);
    },
  };
}
