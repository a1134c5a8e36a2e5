import type { JsonObject } from '#api/meta/object.ts';
import type { AdmissionAttributes } from '#control-plane/apiserver/chain/admission/admission.ts';

const kinds = { create: 'CreateOptions', update: 'UpdateOptions' } as const;
const apiVersion = 'meta.k8s.io/v1';

/** With what options somebody writes: CreateOptions, UpdateOptions (of a patch too), DeleteOptions; undefined for a connection. */
export function optionsOf({
  operation,
  scope,
  options,
  dryRun,
}: AdmissionAttributes): JsonObject | undefined {
  switch (operation) {
    case 'connect':
      return undefined;
    case 'delete':
      return { kind: 'DeleteOptions', apiVersion, ...options };
    default: {
      const fieldManager = scope?.query?.get('fieldManager') ?? '';
      const fieldValidation = scope?.query?.get('fieldValidation') ?? '';
      return {
        ...{ kind: kinds[operation], apiVersion },
        ...(dryRun ? { dryRun: ['All'] } : {}),
        ...(fieldManager === '' ? {} : { fieldManager }),
        ...(fieldValidation === '' ? {} : { fieldValidation }),
      };
    }
  }
}
