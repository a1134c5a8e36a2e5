import { forbidden } from '#api/errors/status.ts';
import { nameOrPrefix } from '#api/wire/json.ts';
import type { AdmissionPlugin, AdmissionRequest } from './admission.ts';

/** Has nothing to say. Deprecated upstream as it means nothing; who names it gets what it promises. */
export const alwaysAdmit: AdmissionPlugin = { name: 'AlwaysAdmit', handles: () => 'atOnce' };

/** Refuses all that is asked: for tests, and deprecated upstream. */
export const alwaysDeny: AdmissionPlugin = {
  name: 'AlwaysDeny',
  handles: () => 'atOnce',
  admit: (_context, request) => refuse(request),
  validate: (_context, request) => refuse(request),
};

function refuse({ attributes: { kind, name }, object = {} }: AdmissionRequest): undefined {
  throw forbidden(kind, name || nameOrPrefix(object), 'admission control is denying all modifications');
}
