import { objectOf, setOwn, stringMapOf, stringOf, typed, type Draft } from '#api/wire/json.ts';
import { acted } from '#api/kinds/effect.ts';
import type { KindRules } from '#api/kinds/rules.ts';
import type { JsonObject } from '#api/meta/object.ts';
import { secretCells } from '#api/table/core.ts';
import { validateSecret, validateSecretUpdate } from '#api/validation/config.ts';

/** Rules of Secrets. */
export const secretRules: KindRules = {
  effect: acted('agent/kubelet/referenced-objects.ts'),
  unactedParts: [
    {
      part: 'type kubernetes.io/service-account-token',
      what: 'no token is put into it; ask for one with kubectl create token',
      find: (secret) => ofType(secret, 'kubernetes.io/service-account-token'),
    },
    {
      part: 'type bootstrap.kubernetes.io/token',
      what: 'nobody can authenticate with it',
      find: (secret) => ofType(secret, 'bootstrap.kubernetes.io/token'),
    },
  ],
  defaults: [['type', 'Opaque']],
  completeDefaults: foldStringData,
  tracksGeneration: false,
  validate: validateSecret,
  validateUpdate: validateSecretUpdate,
  selectableFields: ['type'],
  cells: (object, now) => secretCells(typed(object), now),
};

/** stringData is write-only: it ends up in data, over what data says. */
function foldStringData(secret: Draft): void {
  const entries = Object.entries(stringMapOf(secret['stringData']));
  delete secret['stringData'];
  if (entries.length === 0) return;
  const data: Draft = { ...objectOf(secret['data']) };
  for (const [key, text] of entries) setOwn(data, key, new TextEncoder().encode(text).toBase64());
  secret['data'] = data;
}

function ofType(secret: JsonObject, type: string): readonly string[] {
  return stringOf(secret['type']) === type ? [`type: ${type}`] : [];
}
